package server

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// healthz answers while the process can answer at all.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request, _ params) error {
	return writeText(w, http.StatusOK, "ok\n")
}

// ready answers 503 until samples can come.
func (s *Server) ready(w http.ResponseWriter, _ *http.Request, _ params) error {
	status := s.o.Status()
	if !status.Ready {
		return writeText(w, http.StatusServiceUnavailable, "not ready: "+visible(cmp.Or(status.Waiting, "starting"))+"\n")
	}
	return writeText(w, http.StatusOK, "ready\n")
}

func (s *Server) reload(w http.ResponseWriter, r *http.Request, _ params) error {
	if s.o.Reload == nil {
		return refuse(http.StatusNotImplemented, "there is no configuration to read anew")
	}
	if err := s.o.Reload(r.Context()); err != nil {
		// Who may reload may read why it failed, as with every daemon that has this call.
		s.o.Logger.Error("the configuration was not reloaded; the old one stays", "err", err)
		return refuse(http.StatusInternalServerError, "the old configuration stays: %w", err)
	}
	return writeText(w, http.StatusOK, "reloaded\n")
}

func (s *Server) metrics() func(http.ResponseWriter, *http.Request, params) error {
	h := s.metricsHandler()
	return func(w http.ResponseWriter, r *http.Request, _ params) error {
		h.ServeHTTP(w, r)
		return nil
	}
}

func (s *Server) status(w http.ResponseWriter, r *http.Request, _ params) error {
	status := s.o.Status()
	return s.sendJSON(w, r, struct {
		Status
		UptimeSeconds float64 `json:"uptime_seconds"`
		LiveReaders   int     `json:"live_readers"`
		Recordings    int     `json:"recordings"`
	}{status.filled(), s.o.Now().Sub(status.Started).Seconds(), len(s.live), len(s.recordings)})
}

// filled returns s with empty lists and maps where there are none: a reader in JavaScript need not ask for null.
func (s Status) filled() Status {
	s.Kinds, s.Push = append([]KindStatus{}, s.Kinds...), append([]PushStatus{}, s.Push...)
	for i := range s.Kinds {
		s.Kinds[i].Lost = filled(s.Kinds[i].Lost)
	}
	for i := range s.Push {
		s.Push[i].Requests, s.Push[i].Dropped = filled(s.Push[i].Requests), filled(s.Push[i].Dropped)
	}
	if s.Counting != nil {
		s.Counting = &CountingStatus{append([]string{}, s.Counting.Events...), append([]CountingProblem{}, s.Counting.Cannot...)}
	}
	if s.Store != nil {
		store := *s.Store
		store.Dropped = filled(store.Dropped)
		s.Store = &store
	}
	return s
}

func filled(m map[string]uint64) map[string]uint64 {
	if m == nil {
		return map[string]uint64{}
	}
	return m
}

func (s *Server) kinds(w http.ResponseWriter, r *http.Request, _ params) error {
	type kind struct {
		Name    string   `json:"name"`
		Unit    string   `json:"unit"`
		Period  int64    `json:"period,omitempty"`
		Active  bool     `json:"active"`
		Problem string   `json:"problem,omitempty"`
		MadeOf  []string `json:"made_of,omitempty"`
		Merge   string   `json:"merge"` // of windows
		Live    bool     `json:"live"`
	}
	kinds := []kind{}
	for _, k := range s.o.Status().withDerived() {
		if k.MadeOf != nil {
			k.Problem = "" // that it is not sampled itself is none
		}
		merge := "sum"
		if profile.IsLevel(k.Name) {
			merge = "mean"
		}
		kinds = append(kinds, kind{k.Name, k.Unit, k.Period, k.Active, k.Problem, k.MadeOf, merge, k.Active && k.Every == 0})
	}
	return s.sendJSON(w, r, struct {
		Kinds []kind `json:"kinds"`
	}{kinds})
}

// A service is one line of the answer of /api/v1/services.
type service struct {
	Name   string              `json:"name"`
	Series []map[string]string `json:"series"` // labels of each
}

func (s *Server) services(w http.ResponseWriter, r *http.Request, p params) error {
	kind, from, to, err := p.kindAndSpan(s.o.Status())
	if err != nil {
		return err
	}
	series, err := s.o.History.Series(r.Context(), kind.Name, from, to)
	if err != nil {
		return err
	}
	return s.sendJSON(w, r, struct {
		Kind     string    `json:"kind"`
		From     time.Time `json:"from"`
		To       time.Time `json:"to"`
		Services []service `json:"services"`
	}{kind.Name, from, to, group(series)})
}

// group lists the series by service, both in order of their names.
func group(series []profile.Series) []service {
	series = slices.Clone(series)
	slices.SortStableFunc(series, func(a, b profile.Series) int {
		return cmp.Or(strings.Compare(a.Service, b.Service), strings.Compare(labelKey(a.Labels), labelKey(b.Labels)))
	})
	services := []service{}
	for _, one := range series {
		if n := len(services); n == 0 || services[n-1].Name != one.Service {
			services = append(services, service{Name: one.Service})
		}
		labels := one.Labels
		if labels == nil {
			labels = map[string]string{}
		}
		last := &services[len(services)-1]
		last.Series = append(last.Series, labels)
	}
	return services
}

func labelKey(labels map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		b.WriteString(name + "\x00" + labels[name] + "\x00")
	}
	return b.String()
}

const maxBuckets = 2000

func (s *Server) timeline(w http.ResponseWriter, r *http.Request, p params) error {
	kind, from, to, err := p.kindAndSpan(s.o.Status())
	if err != nil {
		return err
	}
	n, err := p.integer("buckets", 120, 1, maxBuckets)
	if err != nil {
		return err
	}
	buckets, err := s.o.History.Timeline(r.Context(), TimelineQuery{Kind: kind.Name, Service: p.Get("service"), From: from, To: to, Buckets: n})
	if err != nil {
		return err
	}
	out := struct {
		Kind    string    `json:"kind"`
		Unit    string    `json:"unit"`
		From    time.Time `json:"from"`
		To      time.Time `json:"to"`
		Seconds float64   `json:"bucket_seconds"`
		Values  []*int64  `json:"values"` // null where nothing is known
		Lost    []uint64  `json:"lost"`
	}{kind.Name, kind.Unit, from, to, to.Sub(from).Seconds() / float64(n), []*int64{}, []uint64{}}
	for i := range buckets {
		var v *int64
		if buckets[i].Covered {
			v = &buckets[i].Value
		}
		out.Values, out.Lost = append(out.Values, v), append(out.Lost, buckets[i].Lost)
	}
	return s.sendJSON(w, r, out)
}
