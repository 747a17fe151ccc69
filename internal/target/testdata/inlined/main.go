// Inlined SECONDS spends the time in outer, half of it in the body of inner, which is inlined there.
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

func main() {
	seconds := 60.0
	if len(os.Args) > 1 {
		seconds, _ = strconv.ParseFloat(os.Args[1], 64)
	}
	fmt.Println("ready")
	x := uint64(os.Getpid())
	for end := time.Now().Add(time.Duration(seconds * float64(time.Second))); time.Now().Before(end); {
		x = outer(x, 50_000)
	}
	fmt.Println("done", x&1)
}

//go:noinline
func outer(x uint64, n int) uint64 {
	for i := range n {
		x = x*6364136223846793005 + uint64(i)
		x = inner(x)
	}
	return x
}

// inner is small enough for the compiler to put it into outer.
func inner(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 29
	return x
}
