package server

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// A liveWriter sends messages, one JSON object a line, each at once. A client that does not take a message in time is cut.
type liveWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
	limit   time.Duration
	buffer  bytes.Buffer
	encode  *json.Encoder
	zip     *gzip.Writer // nil: not compressed
}

func (s *Server) newLiveWriter(w http.ResponseWriter, r *http.Request) (*liveWriter, error) {
	l := &liveWriter{w: w, control: http.NewResponseController(w), limit: s.o.Limits.Write}
	l.encode = json.NewEncoder(&l.buffer)
	h := w.Header()
	h.Set("Content-Type", "application/x-ndjson")
	h.Set("X-Accel-Buffering", "no") // a proxy must not collect a stream
	h.Add("Vary", "Accept-Encoding")
	if acceptsGzip(r) {
		h.Set("Content-Encoding", "gzip")
		z, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
		if err != nil {
			return nil, fmt.Errorf("compress live stream: %w", err)
		}
		l.zip = z
	}
	return l, nil
}

// send writes one message and waits until the connection has it, at most for the limit.
func (l *liveWriter) send(message any) error {
	l.buffer.Reset()
	if err := l.encode.Encode(message); err != nil {
		return fmt.Errorf("encode live message: %w", err)
	}
	if err := l.control.SetWriteDeadline(time.Now().Add(l.limit)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("send live message: %w", err)
	}
	var err error
	if l.zip != nil {
		if _, err = l.zip.Write(l.buffer.Bytes()); err == nil {
			err = l.zip.Flush()
		}
	} else {
		_, err = l.w.Write(l.buffer.Bytes())
	}
	if err == nil {
		err = l.control.Flush()
	}
	if err != nil {
		return fmt.Errorf("send live message: %w", err)
	}
	return nil
}

// close ends the stream in good order.
func (l *liveWriter) close() error {
	if l.zip == nil {
		return nil
	}
	return l.zip.Close()
}
