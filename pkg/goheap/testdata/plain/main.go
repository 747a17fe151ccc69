// Command plain allocates and has nothing that reads its memory profile, so that the
// linker turns the profile off.
package main

import (
	"os"
	"time"
)

var keep [16][]byte

//go:noinline
func allocate(i int) { keep[i%len(keep)] = make([]byte, 20000) }

func main() {
	os.Stdout.WriteString("ready\n")
	for i := 0; ; i++ {
		allocate(i)
		if i%100 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
}
