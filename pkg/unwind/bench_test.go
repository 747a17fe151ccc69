package unwind

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// openFile compiles a file of this machine, or skips.
func openFile(tb testing.TB, path string, o Options) (*os.File, *Table) {
	tb.Helper()
	f, err := os.Open(path)
	if err != nil {
		tb.Skipf("needs %s: %v", path, err)
	}
	tb.Cleanup(func() { f.Close() })
	st, err := f.Stat()
	if err != nil {
		tb.Fatal(err)
	}
	t, err := Compile(f, st.Size(), o)
	if err != nil {
		tb.Fatalf("%s: %v", path, err)
	}
	return f, t
}

// programs are large and typical files that many machines have.
func programs() []string {
	var out []string
	for _, pattern := range []string{
		"/lib/x86_64-linux-gnu/libc.so.6", "/lib/x86_64-linux-gnu/libcrypto.so.3",
		"/lib64/ld-linux-x86-64.so.2", "/usr/lib/x86_64-linux-gnu/libstdc++.so.6",
		"/usr/lib/postgresql/*/bin/postgres", "/usr/bin/redis-server", "/usr/sbin/nginx",
		"/usr/bin/perl", "/usr/bin/python3", "/root/.pyenv/versions/*/lib/libpython3.*.so.1.0",
		"/usr/bin/gdb", "/usr/bin/node", "/usr/lib/jvm/*/lib/server/libjvm.so",
		"/usr/lib/x86_64-linux-gnu/libLLVM.so.19.1", "/usr/lib/x86_64-linux-gnu/libclang-cpp.so.19.1",
		"/usr/lib/gcc/x86_64-linux-gnu/*/cc1plus", "/usr/lib/chromium/chromium", "/usr/local/go/bin/go",
		"/root/.rustup/toolchains/*/lib/librustc_driver-*.so", "/usr/aarch64-linux-gnu/lib/libc.so.6",
		"/usr/aarch64-linux-gnu/lib/libstdc++.so.6", "/usr/aarch64-linux-gnu/lib/ld-linux-aarch64.so.1",
		"/usr/lib/google-cloud-sdk/bin/kubectl.1.28",
	} {
		m, _ := filepath.Glob(pattern)
		if len(m) > 2 {
			m = m[:2]
		}
		out = append(out, m...)
	}
	return out
}

func BenchmarkCompile(b *testing.B) {
	for _, path := range programs() {
		b.Run(strings.TrimPrefix(path, "/"), func(b *testing.B) {
			var rows int
			for b.Loop() {
				_, t := openFile(b, path, Options{})
				rows = t.Len()
			}
			b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
			b.ReportMetric(float64(rows), "rows")
		})
	}
}

// BenchmarkFind looks addresses of a large file up.
func BenchmarkFind(b *testing.B) {
	_, t := openFile(b, "/usr/lib/x86_64-linux-gnu/libLLVM.so.19.1", Options{})
	end := uint64(t.Row(t.Len() - 1).PC)
	x := uint64(1)
	for b.Loop() {
		x = x*6364136223846793005 + 1442695040888963407
		t.Find(t.Base + x>>16%end)
	}
}

// TestCoverage prints how well files of this machine can be unwound. With go test -v it
// is the table in docs.
func TestCoverage(t *testing.T) {
	for _, path := range programs() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		begin := time.Now()
		_, tab := openFile(t, path, Options{})
		took := time.Since(begin)
		runtime.GC()
		runtime.ReadMemStats(&after)
		c := tab.Stats
		t.Logf("%s: %d rows, %d rules, %d KiB held, %v, text %d KiB, covered %.2f%% (no description %.2f%%) %s", path, tab.Len(),
			len(tab.Rules), (int64(after.HeapAlloc)-int64(before.HeapAlloc))>>10, took.Round(time.Millisecond),
			c.TextBytes>>10, percent(c.CoveredBytes, c.TextBytes), percent(c.Undescribed(), c.TextBytes), details(c))
		if tab.Len() == 0 || c.CoveredBytes > c.TextBytes || c.Truncated {
			t.Errorf("%s: %d rows, %d of %d bytes, truncated %v", path, tab.Len(), c.CoveredBytes, c.TextBytes, c.Truncated)
		}
		for i := 1; i < tab.Len(); i++ {
			if a, b := tab.Row(i-1), tab.Row(i); a.PC >= b.PC || a.Rule == b.Rule {
				t.Fatalf("%s: rows %d %v and %v", path, i, a, b)
			}
		}
	}
}

func percent(a, b uint64) float64 { return 100 * float64(a) / float64(max(b, 1)) }

func details(c Coverage) string {
	var s strings.Builder
	for k, n := range c.Kinds {
		if n > 0 {
			fmt.Fprintf(&s, "\n  kind %v %.4f%%", Kind(k), percent(n, c.TextBytes))
		}
	}
	for reg, n := range c.Registers {
		if n > 0 {
			fmt.Fprintf(&s, "\n  by r%d %.4f%%", reg, percent(n, c.TextBytes))
		}
	}
	fmt.Fprintf(&s, "\n  frame pointer lost %.4f%%", percent(c.LostFramePointer, c.TextBytes))
	for i, src := range c.Sources {
		if src.Functions+src.Dropped+src.Malformed == 0 {
			continue
		}
		fmt.Fprintf(&s, "\n  %v: %d functions, %d bytes, dropped %d, malformed %d, bad index %v", Source(i), src.Functions, src.Bytes, src.Dropped, src.Malformed, src.BadIndex)
		for g, n := range src.Gaps {
			if n > 0 {
				fmt.Fprintf(&s, ", %v %d", Gap(g), n)
			}
		}
	}
	return s.String()
}
