package server

import (
	"context"
	"net"
	"net/http"

	"github.com/ebpfprof/ebpfprof/web"
)

// ServeFile serves one page that holds everything, as web.SingleFile writes it, on a listener, until ctx ends. Host and
// Origin are checked as the daemon does: a profile says much of a machine, and browsers reach loopback for anybody.
func ServeFile(ctx context.Context, l net.Listener, page []byte) error {
	return newFileServer(page).Serve(ctx, l)
}

// newFileServer returns a Server that has nothing but a page.
func newFileServer(page []byte) *Server {
	s := New(Options{})
	asset := web.NewAsset("", "text/html; charset=utf-8", page)
	s.handler = s.mux([]route{
		{method: "GET", path: "/{$}", navigable: true, anyQuery: true, serve: func(w http.ResponseWriter, r *http.Request, _ params) error {
			w.Header().Set("Content-Security-Policy", web.FilePolicy()+"; frame-ancestors 'none'")
			return sendAsset(w, r, asset, cacheRevalidate)
		}},
	})
	return s
}
