package server

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/metrics"
)

// A route is one call of the API.
type route struct {
	method, path string
	params       []string // of the query
	anyQuery     bool     // the query is not the server's
	navigable    bool     // may be opened by a link of another site
	stream       bool     // takes as long as the client likes; sets its deadlines itself
	serve        func(w http.ResponseWriter, r *http.Request, p params) error
}

// answerTime bounds how long a client may take an answer that is no stream, in units of Limits.Write.
const answerTime = 3

func (s *Server) table() []route {
	window := []string{"kind", "service", "label", "from", "to"}
	rendered := slices.Concat(window, []string{"format", "value", "max_nodes"})
	return []route{
		{method: "GET", path: "/{$}", navigable: true, anyQuery: true, serve: s.page},
		{method: "GET", path: "/assets/{name}", serve: s.asset},
		{method: "GET", path: "/healthz", serve: s.healthz},
		{method: "GET", path: "/ready", serve: s.ready},
		{method: "POST", path: "/-/reload", serve: s.reload},
		{method: "GET", path: "/metrics", navigable: true, params: []string{"name[]"}, serve: s.metrics()},
		{method: "GET", path: "/api/v1/openapi.json", navigable: true, serve: s.openAPI},
		{method: "GET", path: "/api/v1/status", navigable: true, serve: s.status},
		{method: "GET", path: "/api/v1/kinds", serve: s.kinds},
		{method: "GET", path: "/api/v1/services", params: []string{"kind", "from", "to"}, serve: s.services},
		{method: "GET", path: "/api/v1/timeline", params: []string{"kind", "service", "from", "to", "buckets"}, serve: s.timeline},
		{method: "GET", path: "/api/v1/profile", params: rendered, navigable: true, serve: s.profile},
		{method: "GET", path: "/api/v1/diff", params: slices.Concat(rendered, []string{"base_from", "base_to", "normalize"}), navigable: true, serve: s.diff},
		{method: "GET", path: "/api/v1/live", params: []string{"kind", "service", "since"}, stream: true, serve: s.liveStream},
		{method: "GET", path: "/pprof/{service}/profile", params: []string{"seconds"}, stream: true, serve: s.record},
		{method: "GET", path: "/pprof/{service}/heap", params: []string{"seconds", "gc"}, stream: true, serve: s.heap("inuse_space")},
		{method: "GET", path: "/pprof/{service}/allocs", params: []string{"seconds", "gc"}, stream: true, serve: s.heap("alloc_space")},
	}
}

// mux serves the routes, and says so of everything else that it does not.
func (s *Server) mux(routes []route) http.Handler {
	mux := http.NewServeMux()
	for _, r := range routes {
		mux.Handle(r.method+" "+r.path, s.wrap(r))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := mux.Handler(r); pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		// No such path, or not with this method, which the mux says.
		s.wrap(route{path: "other", serve: func(w http.ResponseWriter, r *http.Request, _ params) error {
			r.URL.RawQuery = "" // of an unknown path nothing is read
			mux.ServeHTTP(w, r)
			return nil
		}}).ServeHTTP(w, r)
	})
}

// wrap does what is the same for every route: checks, headers, deadlines, errors, counting.
func (s *Server) wrap(route route) http.Handler {
	return http.HandlerFunc(func(inner http.ResponseWriter, r *http.Request) {
		w := &answer{ResponseWriter: inner}
		if !route.stream {
			w.limit = answerTime * s.o.Limits.Write
		}
		defer func() {
			s.counts.add(metrics.HTTPRequestsTotal, route.path, strconv.Itoa(w.code()))
		}()
		setSecurityHeaders(w.Header())
		if refusal := s.guard(r, route.navigable); refusal != nil {
			if r.ContentLength != 0 {
				dropBody(w)
			}
			s.writeError(w, r, refusal)
			return
		}
		if route.stream && r.Method == http.MethodHead {
			w.Header().Set("Allow", http.MethodGet)
			s.writeError(w, r, refuse(http.StatusMethodNotAllowed, "HEAD would take as long as GET here"))
			return
		}
		err := s.call(route, w, r)
		if err == nil {
			return
		}
		if w.status != 0 {
			// The client must not take what it has for everything.
			s.counts.add(metrics.HTTPCutTotal)
			s.o.Logger.Debug("answer was cut", "path", r.URL.Path, "err", err)
			panic(http.ErrAbortHandler)
		}
		s.writeError(w, r, err)
	})
}

func (s *Server) call(route route, w http.ResponseWriter, r *http.Request) error {
	if route.path == "other" || route.anyQuery {
		return route.serve(w, r, params{})
	}
	p, err := parseParams(r, route.params, s.o.Now())
	if err != nil {
		return err
	}
	return route.serve(w, r, p)
}

// An answer remembers its status. From its first byte the client has the time limit to take it, if there is one.
type answer struct {
	http.ResponseWriter
	limit  time.Duration
	status int // 0: nothing was written
}

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
		if a.limit > 0 {
			// The only failure is a writer without deadlines, as in tests.
			_ = http.NewResponseController(a.ResponseWriter).SetWriteDeadline(time.Now().Add(a.limit))
		}
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(b []byte) (int, error) {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	return a.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// code is the status that the client has or would have seen; 499 stands for one that went before there was any.
func (a *answer) code() int {
	if a.status == 0 {
		return 499
	}
	return a.status
}
