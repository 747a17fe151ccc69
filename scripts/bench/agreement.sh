#!/usr/bin/env bash
# agreement.sh [STACKS [NAME...]]: stops each program until STACKS (700) of its stacks are compared with gdb's backtrace,
# frame by frame; prints where the two differ. "astray": where gdb takes for a caller what is no code; those are not in the
# percentage. "doubtful": of these, where a caller of ours lies in no call. Java's own threads are left out and node runs without its JIT compiler:
# neither side has rules for code that is made at run time.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=programs.sh
. "$(dirname "$0")/programs.sh"

stacks=${1:-700}
shift || true
names=("$@")
(($# > 0)) || names=("${commands[@]}" "${servers[@]}")

go build -o "$work/agreement" ./test/agreement
build_programs
for name in "${names[@]}"; do
	options=()
	if [[ " ${servers[*]} " == *" $name "* ]]; then
		serve "$name" 600
		options+=(-pid "$server")
	else
		command_of "$name" || continue
		case $name in
		java) options+=(-exclude '^(java|Reference Handl|Finalizer|Common-Cleaner)$') ;;
		node) argv=(node --jitless "${argv[@]:1}") ;;
		esac
		options+=("${argv[@]}")
	fi
	"$work/agreement" -name "$name" -stacks "$stacks" "${options[@]}" </dev/null | tee -a "$work/results" || true
	unload
done
awk '$3 == "stacks" { n += $2; same += $4; astray += $6; doubt += $8; d += $12 } END {
	printf "%-9s %6d stacks %6d same %5d astray %4d doubtful %8.3f %%  %5d distinct\n", "all", n, same, astray, doubt, 100 * same / (n - astray + 1e-9), d }' "$work/results"
