package server

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// parseTime reads a time as the API takes it: RFC 3339, Unix seconds with up to nine decimals, now, or now-5m, now-1h30m,
// now+10s, now-7d. A space stands for the plus sign that was not escaped in a query.
func parseTime(s string, now time.Time) (time.Time, error) {
	if rest, ok := strings.CutPrefix(s, "now"); ok {
		return parseRelative(rest, now)
	}
	if t, ok := parseUnix(s); ok {
		return t, nil
	}
	t, err := time.Parse(time.RFC3339Nano, strings.Replace(s, " ", "+", 1))
	if err != nil || t.Unix() < 0 || t.Unix() > maxUnix {
		return time.Time{}, errTime
	}
	return t, nil
}

var errTime = errors.New("want RFC 3339, Unix seconds since 1970, now, or now-5m")

// maxUnix is the last second that fits nanoseconds in 64 bits, in 2262.
const maxUnix = math.MaxInt64/int64(time.Second) - 1

func parseUnix(s string) (time.Time, bool) {
	whole, fraction, _ := strings.Cut(s, ".")
	if len(fraction) > 9 || strings.Trim(whole+fraction, "0123456789") != "" {
		return time.Time{}, false
	}
	seconds, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || seconds > maxUnix {
		return time.Time{}, false
	}
	nanos, err := strconv.ParseInt((fraction + "000000000")[:9], 10, 64)
	return time.Unix(seconds, nanos).UTC(), err == nil
}

// parseRelative reads what follows "now".
func parseRelative(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return now, nil
	}
	sign := time.Duration(1)
	switch s[0] {
	case '-':
		sign = -1
	case '+', ' ':
	default:
		return time.Time{}, errTime
	}
	d, err := parseDuration(s[1:])
	if err != nil {
		return time.Time{}, err
	}
	t := now.Add(sign * d)
	if t.Unix() < 0 || t.Unix() > maxUnix {
		return time.Time{}, errTime
	}
	return t, nil
}

// parseDuration reads a positive duration in Go's notation, which may start with days: 1d12h.
func parseDuration(s string) (time.Duration, error) {
	var days time.Duration
	if n, rest, ok := strings.Cut(s, "d"); ok {
		d, err := strconv.ParseUint(n, 10, 16)
		if err != nil {
			return 0, fmt.Errorf("read days of %.40q: %w", s, errTime)
		}
		days = time.Duration(d) * 24 * time.Hour
		if s = rest; s == "" {
			return days, nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 || s[0] == '-' || s[0] == '+' || d > math.MaxInt64-days {
		return 0, fmt.Errorf("read duration %.40q: %w", s, errTime)
	}
	return days + d, nil
}
