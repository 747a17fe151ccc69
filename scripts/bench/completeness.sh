#!/usr/bin/env bash
# completeness.sh [SECONDS [NAME...]]: how many stacks of unmodified Debian programs, built without frame pointers, reach
# the root of their thread, at 199 Hz; and why the others do not.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

seconds=${1:-20}
shift || true
wanted=" $* "

wants() { [[ $wanted == *" $1 "* || $wanted == "  " ]]; }

# measure NAME COMMAND...: records the command for some seconds.
measure() {
	local name=$1
	shift
	wants "$name" || return 0
	timeout -s INT "$seconds" "$ebpfprof" record -F 199 -o "$work/p.folded" --summary "$work/s.json" -q -- "$@" \
		>/dev/null 2>&1 </dev/null || true
	show "$name"
}

# watch NAME PATTERN: records processes by name while a load runs.
watch() {
	"$ebpfprof" record -F 199 --comm "$2" -d "${seconds}s" -o "$work/p.folded" --summary "$work/s.json" -q
	show "$1"
}

show() {
	local samples complete
	samples=$(json samples "$work/s.json") complete=$(json complete "$work/s.json")
	printf '%-10s %6s samples  %6s %% complete ' "$1" "$samples" "$(calc "100 * $complete / ($samples + 1e-9)")"
	grep -A12 '"stacks"' "$work/s.json" | grep -oE '"[a-z_]+": [1-9][0-9]*' | grep -v complete | tr -d '"' | tr '\n' ' ' || true
	printf '\n'
	grep -oE '^[^;]*;\[no [^]]*\];[^;]*' "$work/p.folded" | sed 's/^[^;]*;//' | sort | uniq -c | sort -rn | head -2 |
		sed 's/^/             /' || true
}

head -c 400M /dev/urandom >"$work/random"
for i in {1..4000}; do echo "int f$i(int x) { int a[64]; for (int i = 0; i < 64; i++) a[i] = x * i + $i; return a[x & 63] + f$((i / 2))(x); }"; done |
	sed '1s/f0(x)/x/' >"$work/large.c"
cat >"$work/deep.cc" <<'C'
#include <map>
#include <stdexcept>
#include <string>
#include <vector>
#include <algorithm>
template <int N> struct Deep { static long run(std::map<std::string, long> &m, long x) {
	try { if (x % 97 == N) throw std::runtime_error("x"); m[std::to_string(x % 1000)] += N; return Deep<N - 1>::run(m, x + 1); }
	catch (const std::exception &e) { return x + N; } } };
template <> struct Deep<0> { static long run(std::map<std::string, long> &m, long x) { return m.size() + x; } };
int main() { std::map<std::string, long> m; std::vector<long> v; for (long i = 0;; i++) {
	v.push_back(Deep<40>::run(m, i)); if (v.size() > 5000) { std::sort(v.begin(), v.end()); v.clear(); } } }
C
g++ -O3 -fomit-frame-pointer -o "$work/deep" "$work/deep.cc"
cat >"$work/cgo.go" <<'C'
package main

/*
#include <stdlib.h>
static int less(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }
static void work(void) { int v[4096]; for (int i = 0; i < 4096; i++) v[i] = rand(); qsort(v, 4096, sizeof *v, less); }
*/
import "C"
import "strings"

var sink int

func main() {
	for {
		C.work()
		for i := range 2000 {
			sink += len(strings.Repeat("x", i%100))
		}
	}
}
C
cat >"$work/Spin.java" <<'C'
public class Spin { public static void main(String[] a) { java.util.Map<Integer, String> m = new java.util.HashMap<>();
	for (int i = 0;; i++) { m.put(i % 100000, Integer.toString(i)); } } }
C

measure openssl openssl speed -seconds 3 sha256 rsa2048 ecdsap256
measure xz xz -9 -k -c "$work/random"
measure gcc gcc -O2 -c -o /dev/null "$work/large.c"
# shellcheck disable=SC2016 # these are perl's
measure perl perl -e 'my %h; for (my $i = 0;; $i++) { $h{$i % 5000} .= "x$i"; $h{$i % 5000} = "" if length $h{$i % 5000} > 99; }'
measure python3 python3 -c 'd = {}
while True:
    for i in range(100000): d[i % 1000] = str(i).upper()'
measure sqlite3 sqlite3 :memory: 'create table t(a, b); with recursive c(x) as (select 1 union all select x + 1 from c limit 3000000) insert into t select x, hex(randomblob(8)) from c; create index i on t(b); select count(*) from t a join t b on a.b = b.b;'
measure node node -e 'const m = new Map(); for (let i = 0;; i++) m.set(i % 10000, JSON.stringify({ i }));'
measure java java "$work/Spin.java"
measure c++ "$work/deep"
(cd "$work" && go mod init spin && go build -o spin cgo.go) >/dev/null 2>&1
measure cgo "$work/spin"
if command -v rustc >/dev/null; then
	cat >"$work/r.rs" <<'C'
use std::collections::BTreeMap;
fn main() { let mut m = BTreeMap::new(); let mut i: u64 = 0; loop { m.insert(i.wrapping_mul(2654435761) % 10007, format!("{}", i)); i += 1; } }
C
	rustc -O -o "$work/r" "$work/r.rs"
	measure rust "$work/r"
fi

redis() {
	redis-server --port 63799 --save '' --dir "$work" >/dev/null &
	load+=($!)
	sleep 0.5
	(redis-benchmark -p 63799 -n 100000000 -q -t set,get,lpush,sort >/dev/null 2>&1) &
	load+=($!)
	watch redis '^redis-server|^io_thd|^bio_'
	kill "${load[@]}" 2>/dev/null || true
}

nginx_() {
	mkdir -p "$work/www"
	head -c 8192 /dev/urandom >"$work/www/x"
	cat >"$work/nginx.conf" <<C
worker_processes 1;
error_log /dev/null;
pid $work/nginx.pid;
events {}
http { access_log off; server { listen 127.0.0.1:63800; root $work/www; gzip on; } }
C
	chmod -R a+rx "$work"
	nginx -c "$work/nginx.conf" -g 'daemon off;' &
	load+=($!)
	sleep 0.5
	wrk -t1 -c8 -d $((seconds + 5)) http://127.0.0.1:63800/x >/dev/null &
	load+=($!)
	watch nginx '^nginx'
}

! wants redis || redis
! wants nginx || nginx_
