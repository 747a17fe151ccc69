package server

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/metrics"
	"github.com/ebpfprof/ebpfprof/web"
)

// allowedHosts returns the names that a Host header may have, besides loopback names and addresses.
func allowedHosts(names []string) map[string]bool {
	hosts := make(map[string]bool, len(names))
	for _, n := range names {
		hosts[hostName(n)] = true
	}
	return hosts
}

// SetHosts replaces Options.Hosts. It may be called at any time.
func (s *Server) SetHosts(names []string) {
	hosts := allowedHosts(names)
	s.hosts.Store(&hosts)
}

// hostName returns host without a port, brackets and a final dot, in lower case.
func hostName(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// knownHost tells whether a page that was loaded from host can be ours. A name that an attacker made point at this machine
// (DNS rebinding) is not; an address cannot be made to point elsewhere.
func (s *Server) knownHost(host string) bool {
	name := hostName(host)
	if name == "localhost" || strings.HasSuffix(name, ".localhost") || (*s.hosts.Load())[name] {
		return true
	}
	_, err := netip.ParseAddr(name)
	return err == nil
}

// foreign tells whether a page of another origin makes the browser send r. Clients that are no browsers send neither of
// the headers. Sec-Fetch-Site: https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header.
func foreign(r *http.Request, navigable bool) bool {
	if origin := r.Header.Get("Origin"); origin != "" {
		_, host, ok := strings.Cut(origin, "://")
		if !ok || !strings.EqualFold(host, r.Host) {
			return true
		}
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
		return false
	}
	// A link from elsewhere, such as a dashboard, may be followed: the page that has it learns nothing.
	return !navigable || r.Header.Get("Sec-Fetch-Mode") != "navigate" || r.Header.Get("Sec-Fetch-Dest") != "document"
}

// guard refuses what no client of ours sends.
func (s *Server) guard(r *http.Request, navigable bool) *apiError {
	switch {
	case !s.knownHost(r.Host):
		s.counts.add(metrics.HTTPRefusedTotal, "host")
		return refuse(http.StatusForbidden, "host %.80q is not allowed; add it to the daemon's hosts if it is one of its names", visible(r.Host))
	case foreign(r, navigable):
		s.counts.add(metrics.HTTPRefusedTotal, "origin")
		return refuse(http.StatusForbidden, "requests by pages of another origin are refused")
	case r.ContentLength != 0:
		s.counts.add(metrics.HTTPRefusedTotal, "body")
		return refuse(http.StatusRequestEntityTooLarge, "requests have no body here")
	}
	return nil
}

// dropBody ends a connection on which a body was announced that nobody is going to read.
func dropBody(w http.ResponseWriter) {
	w.Header().Set("Connection", "close")
	// The only failure is a writer without deadlines, as in tests.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(time.Second))
}

// Policies of what is served. Nothing may be framed, and nothing loads anything from elsewhere.
const (
	policyNone   = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	policyPage   = web.Policy + "; frame-ancestors 'none'"
	policyWorker = web.WorkerPolicy + "; frame-ancestors 'none'"
	// policyDrawing lets the script of a flame graph run in an origin of its own, from where it reaches nothing of ours.
	policyDrawing = policyNone + "; style-src 'unsafe-inline'; script-src 'unsafe-inline'; sandbox allow-scripts"
)

func setSecurityHeaders(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Content-Security-Policy", policyNone)
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
}
