package server

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// acceptsGzip reads Accept-Encoding (RFC 9110, section 12.5.3) as far as gzip goes.
func acceptsGzip(r *http.Request) bool {
	for _, header := range r.Header.Values("Accept-Encoding") {
		for part := range strings.SplitSeq(header, ",") {
			coding, weight, weighted := strings.Cut(part, ";")
			if coding = strings.TrimSpace(coding); !strings.EqualFold(coding, "gzip") && coding != "*" {
				continue
			}
			q := strings.TrimPrefix(strings.TrimSpace(weight), "q=")
			if v, err := strconv.ParseFloat(q, 64); !weighted || err == nil && v > 0 {
				return true
			}
		}
	}
	return false
}

// sendBody writes an answer with what write writes, compressed if the client takes that. An error after the first byte
// makes the caller cut the connection.
func sendBody(w http.ResponseWriter, r *http.Request, contentType string, write func(io.Writer) error) error {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Add("Vary", "Accept-Encoding")
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return nil
	}
	if !acceptsGzip(r) {
		return write(w)
	}
	h.Set("Content-Encoding", "gzip")
	z, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return fmt.Errorf("compress answer: %w", err)
	}
	if err := write(z); err != nil {
		return err
	}
	return z.Close()
}

func (s *Server) sendJSON(w http.ResponseWriter, r *http.Request, v any) error {
	return sendBody(w, r, "application/json", func(w io.Writer) error { return json.NewEncoder(w).Encode(v) })
}

func writeText(w http.ResponseWriter, status int, text string) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, err := io.WriteString(w, text)
	return err
}
