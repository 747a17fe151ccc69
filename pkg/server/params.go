package server

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Limits of parameters.
const (
	maxLabels = 16
	maxQuery  = 8 << 10 // bytes
)

// params are the query parameters of one request; errors name the parameter.
type params struct {
	url.Values
	now time.Time // the same for all of a request's times
}

// parseParams refuses parameters that a route does not have: a misspelt one would silently select something else. Each may
// be there once, except label.
func parseParams(r *http.Request, known []string, now time.Time) (params, error) {
	if len(r.URL.RawQuery) > maxQuery {
		return params{}, &apiError{status: http.StatusRequestURITooLong, err: fmt.Errorf("query of %d bytes: at most %d are read", len(r.URL.RawQuery), maxQuery)}
	}
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return params{}, &apiError{status: http.StatusBadRequest, err: fmt.Errorf("read query: %w", err)}
	}
	var unknown []string
	for name, v := range values {
		if !slices.Contains(known, name) {
			unknown = append(unknown, visible(name))
		} else if len(v) > 1 && name != "label" && !strings.HasSuffix(name, "[]") {
			return params{}, badParam(name, "is there %d times", len(v))
		}
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		have := "there are none"
		if len(known) > 0 {
			have = "known are " + strings.Join(known, ", ")
		}
		return params{}, badParam(strings.Join(unknown, ", "), "unknown parameter; %s", have)
	}
	return params{values, now}, nil
}

// time returns the time of a parameter, or fallback where it is not given.
func (p params) time(name string, fallback time.Time) (time.Time, error) {
	s := p.Get(name)
	if s == "" {
		return fallback, nil
	}
	t, err := parseTime(s, p.now)
	if err != nil {
		return time.Time{}, badParam(name, "%w", err)
	}
	return t, nil
}

// span returns the times from and to, the first before the second. By default the span ends at end and is as long as
// length. The names have a prefix for the base of a difference.
func (p params) span(prefix string, end time.Time, length time.Duration) (from, to time.Time, err error) {
	if to, err = p.time(prefix+"to", end); err != nil {
		return from, to, err
	}
	if from, err = p.time(prefix+"from", to.Add(-length)); err != nil {
		return from, to, err
	}
	if !from.Before(to) {
		return from, to, badParam(prefix+"from", "%s is not before %s, %s", from.Format(time.RFC3339), prefix+"to", to.Format(time.RFC3339))
	}
	return from, to, nil
}

// integer returns a whole number within limits.
func (p params) integer(name string, fallback, least, most int) (int, error) {
	s := p.Get(name)
	if s == "" {
		return fallback, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < least || n > most {
		return 0, badParam(name, "want a whole number from %d to %d", least, most)
	}
	return n, nil
}

// kindAndSpan returns what series are listed by: the last hour by default.
func (p params) kindAndSpan(s Status) (kind KindStatus, from, to time.Time, err error) {
	if kind, err = p.kind(s); err != nil {
		return kind, from, to, err
	}
	from, to, err = p.span("", p.now, time.Hour)
	return kind, from, to, err
}

// choice returns one of the values, the first by default.
func (p params) choice(name string, values ...string) (string, error) {
	s := p.Get(name)
	if s == "" {
		return values[0], nil
	}
	if !slices.Contains(values, s) {
		return "", badParam(name, "want one of %s", strings.Join(values, ", "))
	}
	return s, nil
}

// kind returns a kind that the daemon has; by default that is cpu.
func (p params) kind(s Status) (KindStatus, error) {
	name := p.Get("kind")
	if name == "" {
		name = "cpu"
	}
	k, ok := s.kind(name)
	if !ok {
		var names []string
		for _, k := range s.withDerived() {
			names = append(names, k.Name)
		}
		return k, badParam("kind", "there is no %.80q; known are %s", name, strings.Join(names, ", "))
	}
	return k, nil
}

// labels returns what label=NAME=VALUE parameters demand.
func (p params) labels() (map[string]string, error) {
	given := p.Values["label"]
	if len(given) > maxLabels {
		return nil, badParam("label", "is there %d times, at most %d are read", len(given), maxLabels)
	}
	var labels map[string]string
	for _, s := range given {
		name, value, ok := strings.Cut(s, "=")
		if !ok || name == "" {
			return nil, badParam("label", "want NAME=VALUE, have %.80q", s)
		}
		if _, twice := labels[name]; twice {
			return nil, badParam("label", "%.80q is demanded twice", name)
		}
		if labels == nil {
			labels = make(map[string]string)
		}
		labels[name] = value
	}
	return labels, nil
}

// query returns the windows that kind, service, label, from and to select; by default those of the last length.
func (p params) query(s Status, length time.Duration) (Query, KindStatus, error) {
	k, err := p.kind(s)
	if err != nil {
		return Query{}, k, err
	}
	labels, err := p.labels()
	if err != nil {
		return Query{}, k, err
	}
	from, to, err := p.span("", p.now, length)
	return Query{Kind: k.Name, Service: p.Get("service"), Labels: labels, From: from, To: to}, k, err
}
