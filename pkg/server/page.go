package server

import (
	"net/http"
	"strings"

	"github.com/ebpfprof/ebpfprof/web"
)

// How long a browser may keep what it has: the page never without asking, what has a hash in its name for good.
const (
	cacheRevalidate = "no-cache"
	cacheForever    = "public, max-age=31536000, immutable"
)

// page serves the page. Its query is the page's own state, which the server does not read.
func (s *Server) page(w http.ResponseWriter, r *http.Request, _ params) error {
	w.Header().Set("Content-Security-Policy", policyPage)
	return sendAsset(w, r, web.Page(), cacheRevalidate)
}

// asset serves what the page refers to.
func (s *Server) asset(w http.ResponseWriter, r *http.Request, _ params) error {
	name := r.PathValue("name")
	for _, a := range web.Assets() {
		if a.Name == name {
			if strings.HasSuffix(name, ".js") {
				w.Header().Set("Content-Security-Policy", policyWorker)
			}
			return sendAsset(w, r, a, cacheForever)
		}
	}
	return refuse(http.StatusNotFound, "the page has no part of this name; a page that was opened before an update has to be loaded anew")
}

// sendAsset answers with a, as it was compressed once for all if the client takes that. Both forms have one weak entity tag
// (RFC 9110, section 8.8.1).
func sendAsset(w http.ResponseWriter, r *http.Request, a web.Asset, cache string) error {
	h := w.Header()
	h.Set("Cache-Control", cache)
	h.Set("ETag", "W/"+a.ETag)
	h.Add("Vary", "Accept-Encoding")
	for tag := range strings.SplitSeq(r.Header.Get("If-None-Match"), ",") {
		if tag = strings.TrimSpace(tag); strings.TrimPrefix(tag, "W/") == a.ETag {
			w.WriteHeader(http.StatusNotModified)
			return nil
		}
	}
	h.Set("Content-Type", a.ContentType)
	data := a.Data
	if acceptsGzip(r) {
		h.Set("Content-Encoding", "gzip")
		data = a.Gzip
	}
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return nil
	}
	_, err := w.Write(data)
	return err
}
