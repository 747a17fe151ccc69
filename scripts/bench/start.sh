#!/usr/bin/env bash
# start.sh [RUNS]: from exec to the first sample, with idle CPUs and with every CPU busy.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

runs=${1:-7}

# measure NAME: prints the median and the extremes in milliseconds.
measure() {
	local all=()
	for ((r = 0; r < runs; r++)); do
		"$ebpfprof" record -a -F 999 -d 300ms -o "$work/p.pb.gz" --summary "$work/s.json" -q
		all+=("$(json start_seconds "$work/s.json")")
	done
	printf '%s\n' "${all[@]}" | sort -n | awk -v name="$1" '{ v[NR] = 1000 * $1 }
		END { printf "%-6s median %.0f ms, %.0f to %.0f ms in %d runs\n", name, v[int((NR + 1) / 2)], v[1], v[NR], NR }'
}

measure idle
saturate 120
measure busy
