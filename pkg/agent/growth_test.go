package agent

import (
	"os"
	"strings"
	"testing"
)

func TestGrowth(t *testing.T) {
	page := int64(os.Getpagesize())
	a, b, c, d := heapKey{1, 1}, heapKey{2, 2}, heapKey{3, 3}, heapKey{1, 9}
	s := Growth(Footing{a: 1 << 20, b: 5 << 20, c: 7 << 20}, Footing{b: 6 << 20, c: 6 << 20, d: 2 << 20}, (1<<20)/page)
	if s.GrownBytes != 2<<20 || s.FaultedBytes != 1<<20 || s.Coverage == nil || *s.Coverage != 0.5 || s.Ended != 1 {
		t.Errorf("%+v", s)
	}
	if text := s.String(); !strings.Contains(text, "+2097152 bytes") || !strings.Contains(text, "(0.50 of it); 1 targets had ended") {
		t.Error(text)
	}
	s = Growth(Footing{a: 1 << 20}, Footing{}, 4)
	if s.Coverage != nil || s.GrownBytes != 0 || s.Ended != 1 {
		t.Errorf("of nothing that lives: %+v", s)
	}
}
