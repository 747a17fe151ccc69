#!/usr/bin/env bash
# alloc-governor.sh [SECONDS [RATE]]: what the event alloc takes from a program with RATE allocations a second (1,000,000),
# by default within its budget. Two copies of the program run at once for SECONDS (60) of CPU time each, one of them
# sampled. The slowdown is by how much the whole is above the median of its pieces of 10 ms, of which few are sampled, less the
# same of the other copy. ARGS are further arguments of record, such as --alloc-budget 5.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

seconds=${1:-60}
rate=${2:-1000000}
gcc -O2 -o "$work/allocloop" internal/target/testdata/allocloop.c
read -ra more <<<"${ARGS:-}"

"$work/allocloop" "$rate" "$seconds" >"$work/bare" &
bare=$!
"$work/allocloop" "$rate" "$seconds" >"$work/sampled" &
sampled=$!
load+=("$bare" "$sampled")
until grep -qs ready "$work/bare" && grep -qs ready "$work/sampled"; do sleep 0.05; done
"$ebpfprof" record -q -e alloc -p "$sampled" -d 3600s "${more[@]}" --summary "$work/s.json" -o "$work/p.pb.gz" 2>"$work/err" || cat "$work/err"
wait "$bare" "$sampled" || true

above() { awk '$1 == "cpu_seconds" { whole = $2 } $1 == "least_seconds" { print whole / $2 - 1 }' "$work/$1"; }
for copy in bare sampled; do
	awk -v copy="$copy" '{ v[$1] = $2 } END { printf "%-8s %d allocations in %.1f s of CPU time, %.2f %% above the median piece\n", copy,
		v["pairs"], v["cpu_seconds"], 100 * (v["cpu_seconds"] / v["least_seconds"] - 1) }' "$work/$copy"
done
printf 'slowdown %s %%; by the calibration %s %%\n' "$(calc "100 * ($(above sampled) - $(above bare))")" \
	"$(calc "100 * $(json cost_seconds "$work/s.json") / $(awk '$1 == "cpu_seconds" { print $2 }' "$work/sampled")")"
printf '%s calls hit, %s s with probes in %s windows; a hit costs %s us\n' "$(json hits "$work/s.json")" \
	"$(json attached_seconds "$work/s.json")" "$(json windows "$work/s.json")" "$(calc "1e6 * $(json emulated_hit_seconds "$work/s.json")")"
