package pyroscope

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"
)

// A Fault answers a request in the place of the server, which is next.
type Fault func(next http.Handler, w http.ResponseWriter, r *http.Request)

// Status answers with a status and a body, as a proxy does. Headers are name, value, name, value.
func Status(code int, body string, headers ...string) Fault {
	return func(_ http.Handler, w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
		fmt.Fprint(w, body)
	}
}

// ConnectError answers with an error as Connect writes it.
func ConnectError(httpStatus int, code, message string) Fault {
	return Status(httpStatus, fmt.Sprintf(`{"code":%q,"message":%q}`, code, message), "Content-Type", "application/json")
}

// Slow waits before it serves, or until the client has gone.
func Slow(d time.Duration) Fault {
	return func(next http.Handler, w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body) // net/http sees a client go only when it has read all
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		select {
		case <-time.After(d):
			next.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	}
}

// Cut closes the connection without reading the request.
func Cut(_ http.Handler, w http.ResponseWriter, _ *http.Request) { hangUp(w, "") }

// LoseReply serves the request, and closes the connection in the place of the reply: the client cannot know that it
// was accepted.
func LoseReply(next http.Handler, w http.ResponseWriter, r *http.Request) {
	next.ServeHTTP(httptest.NewRecorder(), r)
	hangUp(w, "")
}

// CutReply serves the request, and closes the connection in the middle of the reply, after its status.
func CutReply(next http.Handler, w http.ResponseWriter, r *http.Request) {
	served := httptest.NewRecorder()
	next.ServeHTTP(served, r)
	hangUp(w, fmt.Sprintf("HTTP/1.1 %d X\r\nContent-Type: application/proto\r\nContent-Length: 1000\r\n\r\nhalf", served.Code))
}

func hangUp(w http.ResponseWriter, last string) {
	c, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	fmt.Fprint(c, last)
	c.Close()
}
