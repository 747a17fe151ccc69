package export

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// A connectError is the body of a reply that is not 200 (connectrpc.com/docs/protocol, "Error end-stream").
type connectError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// connectCode returns the code and message of a reply: Connect's own, or those of a proxy's status.
func connectCode(status int, body []byte) connectError {
	var e connectError
	if json.Unmarshal(body, &e) == nil && e.Code != "" {
		return e
	}
	e.Message = limit(strings.TrimSpace(string(body)), 512)
	switch status {
	case http.StatusUnauthorized:
		e.Code = "unauthenticated"
	case http.StatusForbidden:
		e.Code = "permission_denied"
	case http.StatusRequestTimeout:
		e.Code = "deadline_exceeded"
	case http.StatusTooManyRequests:
		e.Code = "resource_exhausted"
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		e.Code = "unavailable"
	default:
		e.Code = "invalid_argument" // 400, 413, 422 of older servers, redirects, 404: the same request fares no better
		if status >= 500 {
			e.Code = "unknown"
		}
	}
	return e
}

// retryable tells whether a request that failed so may succeed later: the set that Grafana Alloy tries again.
func retryable(code string) bool {
	return slices.Contains([]string{"deadline_exceeded", "unknown", "resource_exhausted", "internal", "unavailable",
		"data_loss", "aborted"}, code)
}

func refusal(code string) string {
	if code == "unauthenticated" || code == "permission_denied" {
		return DropUnauthorized
	}
	return DropRefused
}

// failedSeries finds the parts of a server's message that are about one series each. A server takes the series of a
// request one by one and says which it did not take and why (Pyroscope's Distributor.PushBatch, 1.14 and later); the
// others are stored.
var failedSeries = regexp.MustCompile(`push series with index \d+ and id ([0-9a-f-]{36}) failed: (?:(\w+): )?`)

// judge tells what a reply to b means.
func (p *pushV1) judge(r reply, b batch) verdict {
	switch {
	case r.err != nil:
		return verdict{again: &b, wait: r.wait, err: r.err}
	case r.status/100 == 2:
		return verdict{pushed: b.profiles}
	}
	e := connectCode(r.status, r.body)
	err := fmt.Errorf("push: server says %d %s: %s", r.status, e.Code, limit(e.Message, 512))
	codes := make(map[string]string)
	for _, m := range failedSeries.FindAllStringSubmatch(e.Message, -1) {
		codes[m[1]] = m[2]
		if !retryable(m[2]) && !knownCode(m[2]) {
			codes[m[1]] = e.Code // the error of a series that has no code of its own
		}
	}
	if len(codes) > 0 {
		if v, ok := judgeSeries(b, codes); ok {
			v.wait, v.err = r.wait, err
			return v
		}
	}
	if retryable(e.Code) {
		return verdict{again: &b, wait: r.wait, busy: e.Code == "resource_exhausted" || e.Code == "unavailable", err: err}
	}
	return verdict{dropped: map[string]int{refusal(e.Code): b.profiles}, err: err}
}

// knownCode tells whether s is one of Connect's codes that are not tried again.
func knownCode(s string) bool {
	return slices.Contains([]string{"canceled", "invalid_argument", "not_found", "already_exists", "permission_denied",
		"failed_precondition", "out_of_range", "unimplemented", "unauthenticated"}, s)
}

// judgeSeries sorts the profiles of b by the codes of those that failed. It is not ok when no code is about b.
func judgeSeries(b batch, codes map[string]string) (v verdict, ok bool) {
	request, err := unpack(b.body)
	if err != nil {
		return verdict{}, false
	}
	var again []byte
	rest := 0
	v.dropped = make(map[string]int)
	err = seriesOf(request, func(id string, raw []byte) {
		code, failed := codes[id]
		switch {
		case !failed:
			v.pushed++
		case retryable(code):
			again = append(again, raw...)
			rest++
		default:
			v.dropped[refusal(code)]++
		}
	})
	if err != nil || v.pushed == b.profiles {
		return verdict{}, false
	}
	if rest > 0 {
		v.again = &batch{at: b.at, profiles: rest, body: pack(again)}
		v.busy = true
	}
	return v, true
}
