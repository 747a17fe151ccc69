package export

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"sync/atomic"
	"time"
)

// maxReply bounds what is read of a reply: a server names each series that it did not take.
const maxReply = 1 << 20

// maxRetryAfter bounds what a server may ask for: an hour's Retry-After would cost the profiles of an hour.
const maxRetryAfter = 5 * time.Minute

// A reply is what came back for a request. err is set when there is no status: whether the server has the request is
// not known if it was sent.
type reply struct {
	status int
	body   []byte
	wait   time.Duration // Retry-After
	err    error
	sent   bool // the whole request left this machine
}

// A sender posts bodies to one address. It is safe for concurrent use.
type sender struct {
	client  *http.Client
	url     string
	header  http.Header
	timeout time.Duration
	now     func() time.Time
}

// post sends one gzipped body. It returns when there is a reply, when the time is up, or when ctx ends.
func (s *sender) post(ctx context.Context, body []byte) reply {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	var sent atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteRequest: func(w httptrace.WroteRequestInfo) { sent.Store(w.Err == nil) },
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return reply{err: fmt.Errorf("push: %w", err)}
	}
	req.Header = s.header.Clone()
	resp, err := s.client.Do(req)
	if err != nil {
		return reply{err: fmt.Errorf("push: %w", err), sent: sent.Load()}
	}
	defer resp.Body.Close()
	r := reply{status: resp.StatusCode, wait: retryAfter(resp.Header.Get("Retry-After"), s.now()), sent: true}
	r.body, err = io.ReadAll(io.LimitReader(resp.Body, maxReply))
	// The status of a success is the server's word that it has the profiles, whatever happens to the rest of the reply.
	if err != nil && r.status/100 != 2 {
		r.err = fmt.Errorf("push: read reply with status %d: %w", r.status, err)
	}
	return r
}

// retryAfter reads the header of that name (RFC 9110, 10.2.3): seconds or a date. 0 says nothing.
func retryAfter(header string, now time.Time) time.Duration {
	var wait time.Duration
	if n, err := strconv.Atoi(header); err == nil {
		wait = time.Duration(min(max(n, 0), int(maxRetryAfter/time.Second))) * time.Second
	} else if at, err := http.ParseTime(header); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, 0), maxRetryAfter)
}
