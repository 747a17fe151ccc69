#!/usr/bin/env bash
# truth.sh [SECONDS]: a program that spends 50, 30 and 20 % of its CPU time in three functions, as reported at 99 Hz,
# and the profile's CPU seconds against the process's own rusage.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

seconds=${1:-20}
program=$(target split)
"$ebpfprof" record -F 99 -o "$work/p.txt" -o "$work/p.pb.gz" -q -- "$program" "$seconds" >"$work/out"
echo "truth:   heavy 50 %, medium 30 %, light 20 %; $(grep cpu_seconds "$work/out")"
for f in heavy medium light; do
	awk -v f="$f" '$NF == f { print "profile:", f, $4 }' "$work/p.txt"
done
head -1 "$work/p.txt"
