# shellcheck shell=bash
# programs.sh: the programs on which stacks are measured, as their distributions built them or built here without frame
# pointers. Sourced after lib.sh.
# shellcheck disable=SC2016,SC2034,SC2154 # $ in quotes is perl's; work is lib.sh's; what is set here is for who sources this

commands=(openssl xz gcc perl python3 sqlite3 node java c++ cgo rust)
servers=(redis nginx postgres)

# build_programs: makes in $work what the commands need.
build_programs() {
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
	(cd "$work" && go mod init spin && go build -o spin cgo.go) >/dev/null 2>&1
	cat >"$work/Spin.java" <<'C'
public class Spin { public static void main(String[] a) { java.util.Map<Integer, String> m = new java.util.HashMap<>();
	for (int i = 0;; i++) { m.put(i % 100000, Integer.toString(i)); } } }
C
	cat >"$work/r.rs" <<'C'
use std::collections::BTreeMap;
fn main() { let mut m = BTreeMap::new(); let mut i: u64 = 0; loop { m.insert(i.wrapping_mul(2654435761) % 10007, format!("{}", i)); i += 1; } }
C
	! command -v rustc >/dev/null || rustc -O -o "$work/r" "$work/r.rs"
}

# command_of NAME: sets argv; fails when the program is not installed.
command_of() {
	case $1 in
	openssl) argv=(openssl speed -seconds 3 sha256 rsa2048 ecdsap256) ;;
	xz) argv=(xz -9 -k -c "$work/random") ;;
	gcc) argv=("$(gcc -print-prog-name=cc1)" -quiet -O2 "$work/large.c" -o /dev/null) ;;
	perl) argv=(/usr/bin/perl -e 'my %h; for (my $i = 0;; $i++) { $h{$i % 5000} .= "x$i"; $h{$i % 5000} = "" if length $h{$i % 5000} > 99; }') ;;
	python3) argv=(/usr/bin/python3 -c 'd = {}
while True:
    for i in range(100000): d[i % 1000] = str(i).upper()') ;;
	sqlite3) argv=(sqlite3 :memory: 'create table t(a, b); with recursive c(x) as (select 1 union all select x + 1 from c limit 3000000) insert into t select x, hex(randomblob(8)) from c; create index i on t(b); select count(*) from t a join t b on a.b = b.b;') ;;
	node) argv=(node -e 'const m = new Map(); for (let i = 0;; i++) m.set(i % 10000, JSON.stringify({ i }));') ;;
	java) argv=(java "$work/Spin.java") ;;
	c++) argv=("$work/deep") ;;
	cgo) argv=("$work/spin") ;;
	rust) argv=("$work/r") ;;
	*) return 1 ;;
	esac
	command -v "${argv[0]}" >/dev/null
}

# serve NAME SECONDS: starts a server and its load, which lasts at least that long. Sets server (its process that works) and
# comms (a pattern for the names of its threads).
serve() { "serve_$1" "$2"; }

serve_redis() {
	redis-server --port 63799 --save '' --dir "$work" >/dev/null &
	server=$! comms='^redis-server|^io_thd|^bio_'
	load+=("$server")
	sleep 0.5
	redis-benchmark -p 63799 -n 100000000 -q -t set,get,lpush,sort >/dev/null 2>&1 &
	load+=($!)
}

serve_nginx() {
	local master
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
	master=$! comms='^nginx'
	load+=("$master")
	sleep 0.5
	server=$(pgrep -P "$master")
	wrk -t1 -c8 -d "$1" http://127.0.0.1:63800/x >/dev/null &
	load+=($!)
}

# Before a command of the server's user. No function: $! would be the number of a shell.
as_postgres=(setpriv --reuid=postgres --regid=postgres --init-groups)

serve_postgres() {
	local bin master db=$work/db
	bin=$(find /usr/lib/postgresql -name initdb -printf '%h\n' | sort -V | tail -1)
	chmod 755 "$work"
	rm -rf "$db"
	install -d -o postgres "$db"
	"${as_postgres[@]}" "$bin/initdb" -D "$db" -A trust >/dev/null
	"${as_postgres[@]}" "$bin/postgres" -D "$db" -k "$db" -p 54330 -c listen_addresses= >"$work/db.log" 2>&1 &
	master=$! comms='^postgres'
	load+=("$master")
	until "$bin/pg_isready" -q -h "$db" -p 54330; do sleep 0.2; done
	"${as_postgres[@]}" "$bin/pgbench" -i -q -h "$db" -p 54330 postgres 2>/dev/null
	"${as_postgres[@]}" "$bin/pgbench" -c 2 -T "$1" -h "$db" -p 54330 postgres >/dev/null 2>&1 &
	load+=($!)
	until server=$(pgrep -P "$master" -f -o '\[local\]'); do sleep 0.2; done
}

# unload: ends servers and loads.
unload() {
	((${#load[@]} > 0)) || return 0
	kill "${load[@]}" 2>/dev/null || true
	wait "${load[@]}" 2>/dev/null || true
	load=()
}
