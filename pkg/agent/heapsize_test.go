package agent

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// The heap of a JVM is what it uses of it, not what it has taken from the kernel: here 256 MiB, all touched.
func TestHeapSizeOfJava(t *testing.T) {
	if _, err := exec.LookPath("javac"); err != nil {
		t.Skip("no JDK on this machine")
	}
	file := filepath.Join(t.TempDir(), "Wait.java")
	source := `class Wait { public static void main(String[] a) throws Exception { System.out.println("up"); System.in.read(); } }`
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("java", "-XX:+UseSerialGC", "-Xms256m", "-Xmx256m", "-XX:+AlwaysPreTouch", file)
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
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	watch := NewMemoryWatch(MemoryWatchOptions{
		Targets:  Targets{PIDs: []int{cmd.Process.Pid}},
		Identify: func(int, uint64) Identity { return Identity{Service: "java", OK: true} },
	})
	defer watch.Close()
	r, err := watch.Read(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if use := r.Services["java"]; use.Resident < 256<<20 || use.Heap < 1<<20 || use.Heap > 128<<20 {
		t.Errorf("memory of a JVM: %+v", use)
	}
}
