// Command target allocates and waits in known ways, then answers commands on its
// standard input, a line each, with its own profiles.
package main

import (
	"bytes"
	"encoding/base64"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"time"
)

type node struct {
	next *node
	buf  [40]byte
}

var (
	keep  []*node
	big   [][]byte
	texts = map[int]string{}
	sink  []byte
	depth int
	input [256]byte
)

//go:noinline
func small(n int) {
	for i := 0; i < n; i++ {
		keep = append(keep, &node{})
	}
}

//go:noinline
func large(n int) {
	for i := 0; i < n; i++ {
		big = append(big, make([]byte, 1<<20))
	}
}

//go:noinline
func churn(n, size int) {
	for i := 0; i < n; i++ {
		sink = inlinedMake(size)
	}
}

// inlinedMake and inlinedMiddle end up in churn.
func inlinedMake(size int) []byte   { return inlinedMiddle(size) }
func inlinedMiddle(size int) []byte { return make([]byte, size) }

//go:noinline
func deep(d int) {
	if d == 0 {
		small(20000)
		return
	}
	deep(d - 1)
	depth++
}

type stack[T any] struct{ items []T }

func (s *stack[T]) push(v T) { s.items = append(s.items, v) }

//go:noinline
func generic(n int) int {
	var s stack[[3]uint64]
	for i := 0; i < n; i++ {
		s.push([3]uint64{uint64(i)})
	}
	return len(s.items)
}

// wide allocates at 1<<n distinct stacks.
func wide(n, path int) {
	if n == 0 {
		keep = append(keep, &node{})
		return
	}
	if path&1 == 0 {
		left(n-1, path>>1)
	} else {
		right(n-1, path>>1)
	}
}

//go:noinline
func left(n, path int) { wide(n, path) }

//go:noinline
func right(n, path int) { wide(n, path) }

func text(n int) {
	for i := 0; i < n; i++ {
		texts[i] = fmt.Sprintf("value-%d", i)
	}
}

// allocate depends on seed only, also in whether and when garbage is collected.
func allocate(seed int) {
	if seed%4 == 0 {
		debug.SetGCPercent(-1) // never
	}
	small(50000 + 1000*seed)
	large(8 + seed%5)
	churn(20000, 3000+16*seed)
	text(20000)
	deep(20 + 37*(seed%5))
	generic(100000)
	switch seed % 4 {
	case 1:
		runtime.GC()
		runtime.GC()
	case 2:
		runtime.GC()
	}
	churn(10000+seed, 1000)
	small(10000)
	debug.SetGCPercent(-1)
	// What a collection started above has left to do is done before we answer.
	time.Sleep(20 * time.Millisecond)
}

//go:noinline
func holdLock(mu *sync.Mutex) {
	mu.Lock()
	time.Sleep(2 * time.Millisecond)
	mu.Unlock()
}

//go:noinline
func receive(c chan int) int { return inlinedReceive(c) }

func inlinedReceive(c chan int) int { return <-c }

func contend() {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := 0; i < 4; i++ {
		wg.Add(1)
		go func() { defer wg.Done(); holdLock(&mu) }()
	}
	c := make(chan int)
	go func() { time.Sleep(3 * time.Millisecond); c <- 1 }()
	receive(c)
	wg.Wait()
}

func load() {
	for i := 0; ; i++ {
		churn(2000, 512+i%512)
		small(10)
		if i%200 == 199 {
			keep = nil
		}
	}
}

func answer(name string, debug int) {
	var b bytes.Buffer
	if err := pprof.Lookup(name).WriteTo(&b, debug); err != nil {
		fmt.Println("error:", err)
		return
	}
	fmt.Println(base64.StdEncoding.EncodeToString(b.Bytes()))
}

func main() {
	seed := flag.Int("seed", 1, "what to allocate")
	rate := flag.Int("rate", runtime.MemProfileRate, "runtime.MemProfileRate")
	waits := flag.Int("waits", 0, "rate of block and mutex profiles")
	bits := flag.Int("wide", 0, "allocate at 1<<wide stacks")
	flag.Parse()
	runtime.MemProfileRate = *rate
	if *waits > 0 {
		runtime.SetBlockProfileRate(*waits)
		runtime.SetMutexProfileFraction(1)
		contend()
	}
	foreign()
	for i := 0; *bits > 0 && i < 1<<*bits; i++ {
		wide(*bits, i)
	}
	allocate(*seed)
	fmt.Println("ready")
	for {
		// Nothing is allocated from here until the profile is taken: before the first
		// collection it would be in it.
		n, err := os.Stdin.Read(input[:])
		runtime.MemProfile(nil, true)
		if err != nil {
			return
		}
		switch command := strings.Fields(string(input[:n])); command[0] {
		case "load":
			debug.SetGCPercent(20)
			go load()
			go load()
			fmt.Println("loading")
		case "profile":
			level, _ := strconv.Atoi(command[2])
			answer(command[1], level)
		}
	}
}
