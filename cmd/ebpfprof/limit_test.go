package main

import (
	"errors"
	"testing"
)

func TestLimit(t *testing.T) {
	for _, c := range []struct {
		text        string
		before, now int64
		want        bool
	}{
		{"total > +5%", 100, 106, true}, {"total > +5%", 100, 105, false}, {"total>=+5%", 100, 105, true}, {" total  > +5 % ", 100, 106, true},
		{"total > +5%", 0, 1, true}, {"total > +5%", 0, 0, false}, {"total < -10%", 100, 89, true}, {"total < -10%", 100, 90, false},
		{"total > +2ms", 1e6, 3e6 + 1, true}, {"total > +2ms", 1e6, 3e6, false}, {"total > 2s", 5e9, 2e9, false}, {"total > 2s", 0, 2e9 + 1, true},
		{"total <= 1.5KiB", 0, 1536, true}, {"total > 10", 0, 11, true}, {"total > +.5%", 1000, 1006, true}, {"total > -5%", 100, 96, true},
	} {
		l, err := parseLimit(c.text)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
		} else if l.match != nil || l.holds(c.before, c.now) != c.want {
			t.Errorf("%q of %d and %d: %t", c.text, c.before, c.now, !c.want)
		}
	}
}

func TestLimitOfFunctions(t *testing.T) {
	for _, c := range []struct {
		text, name string
		want, self bool
	}{
		{"main.work > +5%", "main.work", true, false}, {"main.work > +5%", "main.workers", false, false}, {"self main.work > +5%", "main.work", true, true},
		{"/^json\\./ > +5%", "json.Marshal", true, false}, {"self /Marsh/ > +5%", "json.Marshal", true, true}, {"/^json\\./ > +5%", "encoding/json.x", false, false},
		{"std::vector<int>::push > +5%", "std::vector<int>::push", true, false}, {"operator<< >= +1", "operator<<", true, false},
		{"operator> > +1", "operator>", true, false}, {"total work > +1", "total work", true, false}, {"selfish > +1", "selfish", true, false},
	} {
		l, err := parseLimit(c.text)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
		} else if l.match == nil || l.match(c.name) != c.want || l.self != c.self {
			t.Errorf("%q of %q: %t, self %t", c.text, c.name, !c.want, l.self)
		}
	}
}

func TestWrongLimits(t *testing.T) {
	for _, text := range []string{
		"", "total", "total >", "> +5%", "total > 5%", "total > +5x", "total > +x%", "total = +5%", "self total > +5%", "/(/ > +5%", "total > +5%%", "total > ++5%",
	} {
		_, err := parseLimit(text)
		var exit *exitError
		if !errors.As(err, &exit) || exit.code != exitUsage {
			t.Errorf("%q: %v, want a usage error", text, err)
		}
	}
	l, err := parseLimit("total > +5ms")
	if err != nil || l.fits("nanoseconds") != nil || l.fits("bytes") == nil || l.fits("count") == nil {
		t.Errorf("milliseconds fit what they should not: %v", err)
	}
}
