#!/usr/bin/env bash
# daemon.sh [SECONDS [PROCESSES]]: the daemon's own cost at 99 Hz on a machine with PROCESSES (200) that share every CPU,
# in windows of 10 s with history; then with a live reader besides. By the kernel's count of its programs (bpf_stats) and of
# its process (/proc), from after the first window. And how long it takes to be ready, and to stop.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

seconds=${1:-60}
processes=${2:-200}
address=127.0.0.1:9799

# Each of the processes is a service of its own name, and calls through one of 50 different stacks.
cat >"$work/many.c" <<'C'
#include <stdlib.h>
#include <unistd.h>
static volatile long sink;
__attribute__((noinline)) static void spin(void) { for (int i = 0; i < 200000; i++) sink += i; }
#define F(n) __attribute__((noinline)) static void f##n(int d, int way); static void f##n(int d, int way)
static void next(int d, int way);
F(0) { next(d, way); sink++; }
F(1) { next(d, way); sink += 2; }
F(2) { next(d, way); sink += 3; }
F(3) { next(d, way); sink += 4; }
__attribute__((noinline)) static void next(int d, int way)
{
	void (*const to[])(int, int) = { f0, f1, f2, f3 };
	if (d)
		to[(way >> (d % 8)) & 3](d - 1, way);
	else
		spin();
	sink++;
}
int main(int argc, char **argv)
{
	for (int i = atoi(argv[1]);; i++) {
		next(20, i % 50);
		usleep(1000);
	}
}
C
gcc -O2 -fomit-frame-pointer -o "$work/many" "$work/many.c"
for ((i = 0; i < processes; i++)); do
	ln "$work/many" "$work/service$((i % 50))" 2>/dev/null || true
	"$work/service$((i % 50))" "$i" &
	load+=($!)
done
stats=$(cat /proc/sys/kernel/bpf_stats_enabled)
trap 'echo "$stats" >/proc/sys/kernel/bpf_stats_enabled; finish' EXIT
echo 1 >/proc/sys/kernel/bpf_stats_enabled

# spent: seconds that the daemon has used: user, system, programs.
spent() {
	local ns
	ns=$(program_cost "$daemon" | cut -d' ' -f1)
	awk -v ns="$ns" -v tick="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); print $12 / tick, $13 / tick, ns / 1e9 }' "/proc/$daemon/stat"
}

# cost NAME: what it uses in the next seconds.
cost() {
	local before after
	before=$(spent)
	sleep "$seconds"
	after=$(spent)
	awk -v name="$1" -v whole="$((seconds * $(nproc)))" -v rss="$(awk '/VmRSS/ { print $2 }' "/proc/$daemon/status")" '
		NR == 1 { u = $1; s = $2; b = $3 }
		NR == 2 { u = $1 - u; s = $2 - s; b = $3 - b
			printf "%-18s user %.3f %%  system %.3f %%  programs %.3f %%  sum %.3f %% of the machine  resident %.1f MiB\n", name,
				100 * u / whole, 100 * s / whole, 100 * b / whole, 100 * (u + s + b) / whole, rss / 1024 }' <<<"$before
$after"
}

"$ebpfprof" daemon --listen "$address" --store "$work/store" --unwind-cache "$work/unwind" 2>"$work/log" &
daemon=$!
until curl -sf "http://$address/ready" >/dev/null; do sleep 0.01; done
sleep 22
cost 'no reader'
curl -sN "http://$address/api/v1/live?kind=cpu" -o /dev/null &
load+=($!)
sleep 2
cost 'with a live reader'
curl -s "http://$address/metrics" | grep -E '^ebpfprof_(memory_bytes|samples_total|samples_lost_total|store_bytes)'
kill -TERM "$daemon"
wait "$daemon"
grep -oE 'msg=(ready|stopped).*' "$work/log" # by its own clock: this script, too, waits for a CPU
