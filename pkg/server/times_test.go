package server

import (
	"testing"
	"time"
)

func TestParseTime(t *testing.T) {
	for s, want := range map[string]time.Time{
		"now":                       now,
		"now-5m":                    now.Add(-5 * time.Minute),
		"now-1h30m":                 now.Add(-90 * time.Minute),
		"now-7d":                    now.Add(-7 * 24 * time.Hour),
		"now-1d12h":                 now.Add(-36 * time.Hour),
		"now+10s":                   now.Add(10 * time.Second),
		"now 10s":                   now.Add(10 * time.Second),
		"0":                         time.Unix(0, 0),
		"1772600767":                time.Unix(1772600767, 0),
		"1772600767.25":             time.Unix(1772600767, 250_000_000),
		"1772600767.000000001":      time.Unix(1772600767, 1),
		"2026-03-04T05:06:07Z":      now,
		"2026-03-04T06:06:07+01:00": now,
		"2026-03-04T06:06:07 01:00": now,
		"2026-03-04T05:06:07.5Z":    now.Add(500 * time.Millisecond),
	} {
		got, err := parseTime(s, now)
		if err != nil || !got.Equal(want) {
			t.Errorf("parseTime(%q) = %v, %v; want %v", s, got, err, want)
		}
	}
	for _, s := range []string{
		"", "x", "now-", "now5m", "now--5m", "now-+5m", "now-5", "now-d", "now-99999d", "now-1e3s", "now-9999999h", "-1", "1.0000000001", "1e9", "NaN", "+Inf",
		"9999999999999999999", "9300000000", "2026-03-04", "1960-01-01T00:00:00Z", "9999-01-01T00:00:00Z", "now-5m ", "٣",
	} {
		if got, err := parseTime(s, now); err == nil {
			t.Errorf("parseTime(%q) = %v, want an error", s, got)
		}
	}
}

func FuzzParseTime(f *testing.F) {
	for _, s := range []string{"now", "now-5m", "now-1d12h", "1772600767.25", "2026-03-04T06:06:07+01:00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := parseTime(s, now)
		if err == nil && (got.Unix() < 0 || time.Unix(0, got.UnixNano()).Unix() != got.Unix()) {
			t.Errorf("parseTime(%q) = %v, which does not fit nanoseconds", s, got)
		}
	})
}
