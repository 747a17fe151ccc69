// Holds SECONDS: keeps 64 MiB, and makes garbage of 1 MiB every 10 milliseconds.
package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"
	"time"
)

var cache, scratch [][]byte

//go:noinline
func fillCache() {
	for range 1024 {
		cache = append(cache, make([]byte, 64<<10))
	}
}

//go:noinline
func makeGarbage() { scratch = [][]byte{make([]byte, 1<<20)} }

func main() {
	seconds, err := strconv.Atoi(os.Args[1])
	if err != nil {
		panic(err)
	}
	fillCache()
	for range 100 {
		makeGarbage()
	}
	runtime.GC() // the runtime publishes what it knew at the last collection but one
	runtime.GC()
	if err := pprof.WriteHeapProfile(io.Discard); err != nil { // without a call the linker leaves the profile out
		panic(err)
	}
	fmt.Println("ready")
	for end := time.Now().Add(time.Duration(seconds) * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		makeGarbage()
	}
	runtime.KeepAlive(cache)
}
