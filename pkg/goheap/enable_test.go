package goheap

import (
	"errors"
	"go/version"
	"strings"
	"testing"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// TestDisabled: what the linker or the program switched off has its reason.
func TestDisabled(t *testing.T) {
	for _, v := range versions() {
		p := start(t, compile(t, "plain", v, build{})).open(nil)
		if _, err := p.Heap(); !errors.Is(err, ErrDisabled) || !strings.Contains(err.Error(), "linker") {
			t.Errorf("Go %s, nothing reads the profile: %v", v, err)
		}
		p = start(t, compile(t, "target", v, build{}), "-rate", "0").open(nil)
		if _, err := p.Heap(); !errors.Is(err, ErrDisabled) || !strings.Contains(err.Error(), "set runtime.MemProfileRate") {
			t.Errorf("Go %s, rate 0: %v", v, err)
		}
	}
}

// TestEnable: a program that the linker switched off is sampled, then left as it was.
func TestEnable(t *testing.T) {
	for _, v := range versions() {
		t.Run(v, func(t *testing.T) {
			p := start(t, compile(t, "plain", v, build{args: []string{"-ldflags=-s -w"}})).open(nil)
			rate := int64(64 << 10)
			if version.Compare("go"+v, noticing) < 0 {
				if _, err := p.Enable(rate); !errors.Is(err, ErrNotNoticed) {
					t.Fatalf("enable: %v", err)
				}
				rate = 1
			}
			restore, err := p.Enable(rate)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p.Enable(rate); err == nil {
				t.Error("enabled twice")
			}
			deadline := time.Now().Add(20 * time.Second)
			for bytes := int64(0); bytes < 50<<20; time.Sleep(10 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("%d bytes allocated", bytes)
				}
				h, err := p.Heap()
				if err != nil {
					t.Fatal(err)
				}
				for _, s := range h.Profile(program(t, p), profile.Labels{}, time.Now()).Sample {
					if s.Location[0].Line[0].Function.Name == "main.allocate" {
						bytes = s.Value[1]
					}
				}
			}
			if err := restore(); err != nil {
				t.Fatal(err)
			}
			if _, err := p.Heap(); !errors.Is(err, ErrDisabled) {
				t.Errorf("after restore: %v", err)
			}
			if err := restore(); err == nil {
				t.Error("restored twice")
			}
		})
	}
}
