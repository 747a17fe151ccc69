package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/exporter-toolkit/web"
	"golang.org/x/sync/errgroup"
)

// Limits of a connection. Requests have no body, so there is no time for one; answers set their own deadline.
const (
	headerTimeout = 5 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 16 << 10
)

// CheckWebConfig says whether file is a valid web configuration and its certificates can be read.
func CheckWebConfig(file string) error {
	if err := web.Validate(file); err != nil {
		return fmt.Errorf("check web configuration %s: %w", file, err)
	}
	return nil
}

// Serve answers on the listeners, which it closes, until ctx ends or one fails. It then tells streams and recordings to
// end, waits for Limits.Shutdown, cuts what is left and returns nil if it was ctx that ended. It can be called once.
func (s *Server) Serve(ctx context.Context, listeners ...net.Listener) error {
	defer s.stop()
	group, failed := errgroup.WithContext(ctx)
	servers := make([]*http.Server, len(listeners))
	for i, l := range listeners {
		s.warnIfOpen(l.Addr())
		// A server for each listener: the toolkit changes the server that it is given.
		servers[i] = s.newServer()
		group.Go(func() error {
			err := web.Serve(l, servers[i], &web.FlagConfig{WebConfigFile: &s.o.WebConfigFile}, s.o.Logger)
			if errors.Is(err, http.ErrServerClosed) {
				return nil
			}
			l.Close() // of a configuration that cannot be used, the toolkit leaves it open
			return fmt.Errorf("serve HTTP on %s: %w", l.Addr(), err)
		})
	}
	<-failed.Done()
	s.stop()
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.o.Limits.Shutdown)
	defer cancel()
	var ended sync.WaitGroup
	for _, server := range servers {
		ended.Go(func() {
			if server.Shutdown(deadline) != nil {
				_ = server.Close() // cuts connections whose client does not take its answer
			}
		})
	}
	ended.Wait()
	return group.Wait()
}

func (s *Server) newServer() *http.Server {
	return &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.o.Logger.Handler(), slog.LevelDebug),
	}
}

// warnIfOpen says so when everybody on the network can read profiles.
func (s *Server) warnIfOpen(a net.Addr) {
	tcp, ok := a.(*net.TCPAddr)
	if ok && !tcp.IP.IsLoopback() && s.o.WebConfigFile == "" {
		s.o.Logger.Warn("profiles can be read from the network without a password; set a web configuration file with TLS and users",
			"address", a.String())
	}
}

// stopped tells whether streams and recordings have to end.
func (s *Server) stopped() bool {
	select {
	case <-s.stopping:
		return true
	default:
		return false
	}
}

func onceClose(c chan struct{}) func() { return sync.OnceFunc(func() { close(c) }) }
