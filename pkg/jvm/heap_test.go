package jvm

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/ebpfprof/ebpfprof/pkg/proc"
)

// A program that keeps 64 MiB and says what its heap has after a collection, then waits for its standard input to end.
const source = `public class Keep {
  public static void main(String[] args) throws Exception {
    byte[][] kept = new byte[64][];
    for (int i = 0; i < kept.length; i++) kept[i] = new byte[1 << 20];
    System.gc();
    long used = 0;
    for (var p : java.lang.management.ManagementFactory.getMemoryPoolMXBeans())
      if (p.getType() == java.lang.management.MemoryType.HEAP) used += p.getCollectionUsage().getUsed();
    System.out.println(used);
    System.in.read();
    System.out.println(kept.length);
  }
}
`

// The counters say what the JVM says itself, for each collector that has them.
func TestHeapUsed(t *testing.T) {
	javac, err := exec.LookPath("javac")
	if err != nil {
		t.Skip("no JDK on this machine")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "Keep.java")
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(javac, "-d", dir, file).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, collector := range []string{"-XX:+UseSerialGC", "-XX:+UseParallelGC", "-XX:+UseG1GC"} {
		t.Run(collector, func(t *testing.T) {
			pid, says := startJava(t, collector, dir)
			used, err := HeapUsed(proc.FS{}, pid)
			if err != nil {
				t.Fatal(err)
			}
			const slack = 4 << 20 // what it allocates to say so
			if used < says || used > says+slack || says < 64<<20 {
				t.Errorf("%d bytes used, the JVM says %d", used, says)
			}
		})
	}
	pid, _ := startJava(t, "-XX:-UsePerfData", dir)
	if used, err := HeapUsed(proc.FS{}, pid); !errors.Is(err, ErrNoCounters) {
		t.Errorf("without counters: %d, %v", used, err)
	}
}

func startJava(t *testing.T, option, dir string) (pid int, says uint64) {
	t.Helper()
	cmd := exec.Command("java", option, "-Xmx256m", "-cp", dir, "Keep")
	cmd.Stderr = os.Stderr
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	if _, err := fmt.Fscanln(bufio.NewReader(out), &says); err != nil {
		t.Fatal(err)
	}
	return cmd.Process.Pid, says
}

func TestHeapUsedOfOthers(t *testing.T) {
	if used, err := HeapUsed(proc.FS{}, os.Getpid()); !errors.Is(err, ErrNoCounters) {
		t.Errorf("of a Go program: %d, %v", used, err)
	}
	if _, err := HeapUsed(proc.FS{}, 1<<30); !errors.Is(err, proc.ErrNoProcess) {
		t.Errorf("of no process: %v", err)
	}
}
