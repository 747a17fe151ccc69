# shellcheck shell=bash
# lib.sh: what the measurements share. Sourced, from the top of the repository.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

work=$(mktemp -d)
export ebpfprof=$PWD/bin/ebpfprof
load=()

finish() {
	((${#load[@]} == 0)) || kill "${load[@]}" 2>/dev/null || true
	wait 2>/dev/null || true
	rm -rf "$work"
}
trap finish EXIT

((EUID == 0)) || {
	echo "needs root: run it with sudo" >&2
	exit 1
}

# target NAME: builds one of the test programs, with frame pointers, and prints its path.
target() {
	gcc -O1 -fno-omit-frame-pointer -pthread -o "$work/$1" "internal/target/testdata/$1.c"
	echo "$work/$1"
}

# json KEY FILE: the first number under KEY of a summary.
json() {
	grep -m1 "\"$1\":" "$2" | grep -oE '[0-9.e+-]+' | tail -1
}

# saturate SECONDS: keeps every CPU busy with a program of three functions.
saturate() {
	local program n
	program=$(target split)
	n=$(nproc)
	for ((i = 0; i < n; i++)); do
		"$program" "$1" >/dev/null &
		load+=($!)
	done
	sleep 1
}

# program_cost PID: nanoseconds and runs so far of the process's perf_event programs (BPF_PROG_TYPE 7).
program_cost() {
	cat /proc/"$1"/fdinfo/* 2>/dev/null | awk '$1 == "prog_type:" { is = $2 == 7 }
		is && $1 == "run_time_ns:" { ns += $2 } is && $1 == "run_cnt:" { n += $2 } END { print ns + 0, n + 0 }'
}

# calc EXPRESSION: prints its value.
calc() {
	awk "BEGIN { printf \"%.3f\", $1 }"
}

echo "# $(uname -srm), $(nproc) CPUs, $(date -u +%F)"
