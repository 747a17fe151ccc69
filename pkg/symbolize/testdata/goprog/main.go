// Goprog prints what Go's own runtime says about its code: for many addresses of
// its text the frames, inlined ones included, as the runtime's traceback has them.
// Build with -ldflags=-checklinkname=0.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"sort"
	"strconv"
	"strings"
	_ "unsafe"
)

//go:linkname expand runtime/pprof.runtime_expandFinalInlineFrame
func expand(stk []uintptr) []uintptr

//go:linkname startLine runtime/pprof.runtime_FrameStartLine
func startLine(f *runtime.Frame) int

type shape interface{ area() int }

type square struct{ side int }

func (s square) area() int { return mul(s.side, s.side) }

type named struct {
	square
	name string
}

func mul(a, b int) int { return add(a*b, 0) }

func add(a, b int) int { return a + b }

func largest[T any](list []T, less func(a, b T) bool) T {
	sort.Slice(list, func(i, j int) bool { return less(list[j], list[i]) })
	return list[0]
}

func main() {
	var s shape = named{square{len(os.Args)}, "n"}
	var p shape = &named{square{len(os.Args)}, "p"}
	_ = largest([]int{s.area(), p.area()}, func(a, b int) bool { return a < b })
	_ = largest([]string{"a", os.Args[0]}, func(a, b string) bool { return a < b })

	start, end, off := text()
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	enc := json.NewEncoder(out)
	for pc := start; pc < end; pc += 13 {
		if runtime.FuncForPC(pc) == nil {
			continue
		}
		// The runtime takes pc+1 for a return address, unless a function starts there.
		if next := runtime.FuncForPC(pc + 1); next == nil || next.Entry() == pc+1 {
			continue
		}
		type frame struct {
			Function, File  string
			Line, StartLine int
		}
		var frames []frame
		it := runtime.CallersFrames(expand([]uintptr{pc + 1}))
		for {
			f, more := it.Next()
			frames = append(frames, frame{f.Function, f.File, f.Line, startLine(&f)})
			if !more {
				break
			}
		}
		if err := enc.Encode(map[string]any{"offset": uint64(pc-start) + off, "frames": frames}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// text returns the executable mapping of this program and its file offset.
func text() (start, end uintptr, off uint64) {
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		panic(err)
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		panic(err)
	}
	for _, line := range strings.Split(string(maps), "\n") {
		f := strings.Fields(line)
		if len(f) < 6 || f[1] != "r-xp" || f[5] != exe {
			continue
		}
		lo, hi, _ := strings.Cut(f[0], "-")
		a, _ := strconv.ParseUint(lo, 16, 64)
		b, _ := strconv.ParseUint(hi, 16, 64)
		off, _ = strconv.ParseUint(f[2], 16, 64)
		return uintptr(a), uintptr(b), off
	}
	panic("no executable mapping of " + exe)
}
