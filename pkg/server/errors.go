package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/ebpfprof/ebpfprof/pkg/metrics"
)

// An apiError is a refusal as the client is told of it.
type apiError struct {
	status int
	param  string // the parameter that is to blame, or ""
	err    error
	retry  bool // the same request may succeed a second later
}

func (e *apiError) Error() string {
	if e.param != "" {
		return e.param + ": " + e.err.Error()
	}
	return e.err.Error()
}

func (e *apiError) Unwrap() error { return e.err }

func badParam(name, format string, args ...any) *apiError {
	return &apiError{status: http.StatusBadRequest, param: name, err: fmt.Errorf(format, args...)}
}

func refuse(status int, format string, args ...any) *apiError {
	return &apiError{status: status, err: fmt.Errorf(format, args...)}
}

func busy(format string, args ...any) *apiError {
	return &apiError{status: http.StatusServiceUnavailable, err: fmt.Errorf(format, args...), retry: true}
}

// writeError answers with err as JSON. Errors that are no refusals are logged, and the client learns no more than that
// something failed: their text may hold paths.
func (s *Server) writeError(w http.ResponseWriter, r *http.Request, err error) {
	refusal := &apiError{}
	if !errors.As(err, &refusal) {
		if r.Context().Err() != nil {
			return // the client has gone: nobody reads an answer, and it is no fault of ours
		}
		s.o.Logger.Error("request failed", "path", r.URL.Path, "err", err)
		refusal = refuse(http.StatusInternalServerError, "%s failed; the log says why", r.URL.Path)
	}
	for _, h := range []string{"Content-Encoding", "Content-Disposition", "Vary"} {
		w.Header().Del(h) // of the answer that was to be
	}
	if refusal.retry {
		w.Header().Set("Retry-After", "1")
	}
	s.writeJSON(w, refusal.status, struct {
		Error     string `json:"error"`
		Parameter string `json:"parameter,omitempty"`
	}{refusal.Error(), refusal.param})
}

func (s *Server) writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		s.counts.add(metrics.HTTPCutTotal)
	}
}
