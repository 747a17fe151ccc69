package unwind

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// build compiles a source with a compiler of this machine, or skips.
func build(tb testing.TB, name, source string, command ...string) string {
	tb.Helper()
	if _, err := exec.LookPath(command[0]); err != nil {
		tb.Skipf("needs %s: %v", command[0], err)
	}
	dir := tb.TempDir()
	in, out := filepath.Join(dir, name), filepath.Join(dir, "prog")
	if err := os.WriteFile(in, []byte(source), 0o644); err != nil {
		tb.Fatal(err)
	}
	cmd := exec.Command(command[0], append(command[1:], "-o", out, in)...)
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GO111MODULE=off")
	if msg, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("%v: %v\n%s", cmd.Args, err, msg)
	}
	return out
}

const cppSource = `
#include <algorithm>
#include <cstdio>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <unistd.h>
#include <vector>
template <int N> struct deep {
	static __attribute__((noinline)) long go(std::vector<std::string> &v, std::function<long(long)> f) {
		try {
			volatile char room[16 + N * 24];
			room[N] = N;
			long r = deep<N - 1>::go(v, [&, f](long x) { return f(x + room[N]) + v.size(); });
			if (r % 7 == 3) throw std::runtime_error("x");
			return r;
		} catch (std::exception &e) { return v.size(); }
	}
};
template <> struct deep<0> {
	static __attribute__((noinline)) long go(std::vector<std::string> &v, std::function<long(long)> f) {
		std::map<std::string, long> m;
		for (int i = 0; i < 200; i++) m[std::to_string(f(i) * 7919 % 1000)] += i;
		v.push_back(m.begin()->first);
		if (v.size() > 1000) v.clear();
		std::sort(v.begin(), v.end());
		alignas(64) volatile double d[16];
		d[m.size() % 16] = 1;
		return m.size() + (long)d[m.size() % 16];
	}
};
int main() {
	std::vector<std::string> v;
	for (long s = 0;; s++) { s += deep<40>::go(v, [](long x) { return x; }) & 1; }
}
`

func buildCPP(tb testing.TB) string {
	return build(tb, "deep.cc", cppSource, "g++", "-O3", "-fomit-frame-pointer", "-std=c++17")
}
