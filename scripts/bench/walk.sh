#!/usr/bin/env bash
# walk.sh [SECONDS [HZ...]]: what one run of the program costs for a stack of some 35 frames without frame pointers, with
# every CPU busy: the kernel's own count (bpf_stats), from after the first second, when the tables are there. The kernel's
# two clock reads, some 40 ns, are in the figure.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

seconds=${1:-10}
shift || true
rates=("${@:-99}")
(($# > 0)) || rates=(99 997)
depth=${DEPTH:-30}

gcc -O2 -fomit-frame-pointer -o "$work/deep" internal/target/testdata/recursion.c
n=$(nproc)
for ((i = 0; i < n; i++)); do
	"$work/deep" "$depth" $((${#rates[@]} * (seconds + 5))) >/dev/null &
	load+=($!)
done
stats=$(cat /proc/sys/kernel/bpf_stats_enabled)
trap 'echo "$stats" >/proc/sys/kernel/bpf_stats_enabled; finish' EXIT
echo 1 >/proc/sys/kernel/bpf_stats_enabled
for hz in "${rates[@]}"; do
	"$ebpfprof" record --comm '^deep$' -F "$hz" -d "$((seconds + 2))s" -o "$work/p.folded" --summary "$work/s.json" -q &
	sleep 1.5
	read -r ns0 runs0 <<<"$(program_cost $!)"
	sleep "$seconds"
	read -r ns1 runs1 <<<"$(program_cost $!)"
	wait $!
	frames=$(calc "$(json total "$work/s.json") / $(json samples "$work/s.json")")
	ns=$(calc "($ns1 - $ns0) / ($runs1 - $runs0)")
	printf '%4s Hz: %8.0f ns per run in %d runs, %5.1f frames a stack, %4.0f ns a frame, %s of %s stacks complete\n' "$hz" \
		"$ns" $((runs1 - runs0)) "$frames" "$(calc "$ns / $frames")" "$(json complete "$work/s.json")" "$(json samples "$work/s.json")"
done
