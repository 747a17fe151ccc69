package store

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

const (
	crashDir   = "STORE_TEST_CRASH_DIR"
	crashFirst = "STORE_TEST_CRASH_FIRST"
)

// TestCrashChild is the program that TestCrash kills: it adds windows, says so, and merges all the while.
func TestCrashChild(t *testing.T) {
	dir := os.Getenv(crashDir)
	if dir == "" {
		t.Skip("only as a child of TestCrash")
	}
	first, _ := strconv.Atoi(os.Getenv(crashFirst))
	now := crashStart(first)
	s, err := Open(Options{Dir: dir, Now: func() time.Time { return now }, MaxAge: -1})
	if err != nil {
		fmt.Println("error", err)
		return
	}
	for i := first; ; i++ {
		if err := s.Add(crashInterval(i)); err != nil {
			fmt.Println("error", err)
			return
		}
		fmt.Println("added", i)
		now = crashStart(i + 1)
		if err := s.maintain(context.Background()); err != nil {
			fmt.Println("error", err)
			return
		}
	}
}

func crashStart(i int) time.Time { return day.Add(time.Duration(i) * time.Minute) }

// crashInterval has a stack that no other has.
func crashInterval(i int) *profile.Interval {
	in := simple(crashStart(i), time.Minute, 1, "a", "b", "c")
	for _, w := range in.Windows {
		w.Profile.Function[0].Name = "number " + strconv.Itoa(i)
	}
	return in
}

// TestCrash: whenever a process is killed, every window that was added is there once, and nothing is damaged.
func TestCrash(t *testing.T) {
	dir := t.TempDir()
	next, rounds, unsaid, leftovers := 0, 50, 0, 0
	for round := range rounds {
		cmd := exec.Command(os.Args[0], "-test.run=^TestCrashChild$")
		cmd.Env = append(os.Environ(), crashDir+"="+dir, crashFirst+"="+strconv.Itoa(next))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		said := next
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			line := lines.Text()
			if n, ok := strings.CutPrefix(line, "added "); ok {
				if i, _ := strconv.Atoi(n); i != said {
					t.Fatalf("child added %s, not %d", n, said)
				}
				if said++; said == next+1 {
					time.AfterFunc(time.Duration(rand.Int64N(int64(60*time.Millisecond))), func() { _ = cmd.Process.Kill() })
				}
			} else if strings.HasPrefix(line, "error") {
				t.Errorf("child: %s", line)
			}
		}
		_ = cmd.Wait()
		if left, _ := os.ReadDir(dir + "/" + tmpDir); len(left) > 0 {
			leftovers++
		}
		got := crashCheck(t, dir, said)
		unsaid += got - said
		next = got
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
	t.Logf("%d windows in %d rounds, %d of them on disk before the child could say so; %d kills in the middle of writing or removing", next, rounds, unsaid, leftovers)
	if leftovers == 0 {
		t.Error("no kill came in the middle of anything")
	}
}

// crashCheck opens the store, which must have the windows from 0 to said minus one, perhaps one more. It returns how many.
func crashCheck(t *testing.T, dir string, said int) int {
	t.Helper()
	log, text := logged()
	s, err := Open(Options{Dir: dir, Log: log, MaxAge: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if st := s.Status(); st.Corrupt+st.Foreign != 0 {
		t.Errorf("status %+v\n%s", st, text)
	}
	if said == 0 {
		return 0
	}
	r := query(t, s, Query{Kind: "cpu", From: day, To: day.Add(10000 * time.Hour)})
	seen := map[string]int64{}
	for _, sample := range r.Profile.Sample {
		seen[sample.Location[0].Line[0].Function.Name] += sample.Value[0]
	}
	n := len(seen)
	for i := range n {
		if name := "number " + strconv.Itoa(i); seen[name] != 3 {
			t.Errorf("%s: %d, want 3", name, seen[name])
		}
	}
	if n < said || n > said+1 || r.Windows != n || r.Lost != uint64(n) {
		t.Errorf("%d windows, facts %+v, the child said %d", n, r.Facts, said)
	}
	return n
}
