// Command goheap keeps memory and answers for it at /debug/pprof/heap; GET /more makes it keep more. It prints
// its address, then is quiet until its standard input ends. With the argument "child" it starts itself once more.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
	"os/exec"
	"runtime"
)

var kept [][]byte

//go:noinline
func keep(n, size int) {
	for range n {
		kept = append(kept, make([]byte, size))
	}
}

//go:noinline
func lose(n, size int) {
	for range n {
		kept[0] = make([]byte, size)
	}
}

//go:noinline
func more(n, size int) {
	for range n {
		kept = append(kept, make([]byte, size))
	}
}

func main() {
	keep(64, 1<<20)
	keep(20_000, 1<<10)
	lose(300, 1<<20)
	runtime.GC()
	runtime.GC()
	if len(os.Args) > 1 && os.Args[1] == "child" {
		cmd := exec.Command(os.Args[0])
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, io.Discard, os.Stderr
		if err := cmd.Start(); err != nil {
			panic(err)
		}
		fmt.Println(cmd.Process.Pid)
		_ = cmd.Wait()
		return
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	http.HandleFunc("/more", func(http.ResponseWriter, *http.Request) {
		more(32, 1<<20)
		runtime.GC()
		runtime.GC()
	})
	fmt.Println(l.Addr())
	go http.Serve(l, nil)
	_, _ = io.Copy(io.Discard, os.Stdin)
	runtime.KeepAlive(kept)
}
