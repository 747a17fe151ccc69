package goheap

import (
	"bufio"
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// counts are the numbers of a record as the text form has them, frees computed.
type counts struct{ allocs, frees, allocBytes, freeBytes int64 }

func (c counts) plus(d counts) counts {
	return counts{c.allocs + d.allocs, c.frees + d.frees, c.allocBytes + d.allocBytes, c.freeBytes + d.freeBytes}
}

var recordLine = regexp.MustCompile(`^(\d+): (\d+) \[(\d+): (\d+)\] @(.*)$`)

// parseText reads /debug/pprof/heap?debug=1, adding up records of one stack and size.
func parseText(t *testing.T, text []byte) map[string]counts {
	t.Helper()
	out := map[string]counts{}
	in := bufio.NewScanner(bytes.NewReader(text))
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		f := recordLine.FindStringSubmatch(in.Text())
		if f == nil {
			continue
		}
		var n [4]int64
		for i := range n {
			n[i], _ = strconv.ParseInt(f[i+1], 10, 64)
		}
		key := strings.TrimSpace(f[5])
		out[key] = out[key].plus(counts{n[2], n[2] - n[0], n[3], n[3] - n[1]})
	}
	if len(out) < 5 {
		t.Fatalf("%d records in\n%.400s", len(out), text)
	}
	return out
}

// keyed is what was read, in the form of parseText.
func keyed(h *Heap, bias uint64) map[string]counts {
	out := map[string]counts{}
	for _, r := range h.Records {
		key := make([]string, len(r.Stack))
		for i, pc := range r.Stack {
			key[i] = fmt.Sprintf("%#x", pc+bias)
		}
		k := strings.Join(key, " ")
		out[k] = out[k].plus(counts{r.AllocObjects, r.FreeObjects, r.AllocBytes, r.FreeBytes})
	}
	return out
}

// sums adds up the values of a profile by stack of functions and lines.
func sums(p *pprof.Profile) map[string][]int64 {
	out := map[string][]int64{}
	for _, s := range p.Sample {
		var key strings.Builder
		for _, l := range s.Location {
			for _, line := range l.Line {
				fmt.Fprintf(&key, "%s:%d ", line.Function.SystemName, line.Line)
			}
		}
		if !slices.ContainsFunc(s.Value, func(v int64) bool { return v != 0 }) {
			continue
		}
		k := strings.ReplaceAll(key.String(), "[truncated]:0 ", "")
		if out[k] == nil {
			out[k] = make([]int64, len(s.Value))
		}
		for i, v := range s.Value {
			out[k][i] += v
		}
	}
	return out
}

func compareSums(t *testing.T, got, want map[string][]int64) {
	t.Helper()
	for k, w := range want {
		if g := got[k]; !slices.Equal(g, w) {
			t.Errorf("%s\n is %v, the program says %v", k, g, w)
		}
	}
	for k, g := range got {
		if want[k] == nil {
			t.Errorf("%s\n is %v, the program has no such stack", k, g)
		}
	}
}

// TestHeap: record by record what a quiescent program says of itself, and the profile
// by names and lines what its own pprof file says.
func TestHeap(t *testing.T) {
	for _, version := range versions() {
		for _, b := range builds() {
			t.Run(version+"/"+b.name, func(t *testing.T) {
				path := compile(t, "target", version, b)
				var cache Cache
				records, live, deepest := 0, 0, 0
				var took []time.Duration
				for i := range runs() {
					x := start(t, path, "-seed", strconv.Itoa(i))
					p := x.open(&cache)
					h, err := p.Heap()
					if err != nil {
						t.Fatal(err)
					}
					want := parseText(t, x.profile("heap", 1))
					got := keyed(h, p.bias)
					for k, w := range want {
						if got[k] != w {
							t.Errorf("run %d: %s is %v, the program says %v (%v)", i, k, got[k], w, h.Stats)
						}
					}
					for k, g := range got {
						if _, ok := want[k]; !ok && g != (counts{}) {
							t.Errorf("run %d: %s is %v, the program has no such record", i, k, g)
						}
						deepest = max(deepest, strings.Count(k, " ")+1)
					}
					own := x.sums("heap")
					ours := h.Profile(program(t, p), profile.Labels{Comm: "target", PID: int64(x.cmd.Process.Pid)}, time.Now())
					if err := ours.CheckValid(); err != nil {
						t.Error(err)
					}
					compareSums(t, sums(ours), own)
					if ours.Period != 512<<10 || ours.PeriodType.Type != "space" || ours.DefaultSampleType != "inuse_space" {
						t.Errorf("period %d %v, default %s", ours.Period, ours.PeriodType, ours.DefaultSampleType)
					}
					if !h.Settled || p.Layout().Symbols == strings.Contains(b.name, "stripped") {
						t.Errorf("run %d: %v, by symbols: %v", i, h.Stats, p.Layout().Symbols)
					}
					records += len(want)
					took = append(took, h.Duration)
					if h.Live {
						live++
					}
					x.stop()
				}
				slices.Sort(took)
				t.Logf("%d runs, %d records equal, deepest stack %d, %d before a collection; %v median, %v most",
					runs(), records, deepest, live, took[len(took)/2], took[len(took)-1])
				if live == 0 || live == runs() {
					t.Error("the runs are all alike")
				}
			})
		}
	}
}

// TestHeapUnderLoad: what is published only grows, so what is read lies between what
// the program says before and after. A reading that found no quiet moment may have a record as it
// was in between two of its numbers, and says so: hardly any may be like that.
func TestHeapUnderLoad(t *testing.T) {
	for _, version := range versions() {
		t.Run(version, func(t *testing.T) {
			x := start(t, compile(t, "target", version, build{}), "-rate", "65536")
			fmt.Fprintln(x.in, "load")
			if line := x.line(); line != "loading" {
				t.Fatal(line)
			}
			p := x.open(nil)
			settled, grown, passes := 0, 0, 0
			const readings = 50
			for range readings {
				before := parseText(t, x.profile("allocs", 1))
				h, err := p.Heap()
				if err != nil {
					t.Fatal(err)
				}
				got := keyed(h, p.bias)
				after := parseText(t, x.profile("allocs", 1))
				for k, g := range got {
					lo, hi := before[k], after[k]
					if h.Settled && (g.allocs < lo.allocs || g.allocs > hi.allocs || g.allocBytes < lo.allocBytes || g.allocBytes > hi.allocBytes ||
						g.frees < lo.frees || g.frees > hi.frees || g.freeBytes < lo.freeBytes || g.freeBytes > hi.freeBytes) {
						t.Errorf("%s: %v, the program says %v before and %v after (%v)", k, g, lo, hi, h.Stats)
					}
					if lo != hi {
						grown++
					}
				}
				passes += h.Passes
				if h.Settled {
					settled++
				}
			}
			t.Logf("%d readings, %d of one moment, %d passes; %d records changed while read", readings, settled, passes, grown)
			if grown == 0 || settled < readings/2 {
				t.Error("no load, or hardly a reading of one moment")
			}
		})
	}
}
