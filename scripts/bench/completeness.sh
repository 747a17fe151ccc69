#!/usr/bin/env bash
# completeness.sh [SECONDS [NAME...]]: how many stacks of unmodified programs, built without frame pointers, reach the root
# of their thread, at 199 Hz; and why the others do not. Each program runs twice: cold, when no table of it is on disk, and
# warm, with those of the first run.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=programs.sh
. "$(dirname "$0")/programs.sh"

seconds=${1:-20}
shift || true
names=("$@")
(($# > 0)) || names=("${commands[@]}" "${servers[@]}")

# measure [PREFIX...] record ARGS...: records, by a command that starts ebpfprof with what follows.
measure() {
	local prefix=()
	while [[ $1 != record ]]; do
		prefix+=("$1")
		shift
	done
	shift
	"${prefix[@]}" "$ebpfprof" record -F 199 --unwind-cache "$work/cache" -o "$work/p.folded" --summary "$work/s.json" -q "$@" \
		>/dev/null 2>&1 </dev/null || true
}

# show NAME: one line from the summary.
show() {
	local samples complete
	samples=$(json samples "$work/s.json") complete=$(json complete "$work/s.json")
	printf '%-9s %-4s %6s samples  %7s %% complete ' "$1" "$run" "$samples" "$(calc "100 * $complete / ($samples + 1e-9)")"
	grep -A12 '"stacks"' "$work/s.json" | grep -oE '"[a-z_]+": [1-9][0-9]*' | grep -vE 'complete|total|symbolized' | tr -d '"' | tr '\n' ' ' || true
	printf '\n'
	grep -oE '^[^;]*;\[no [^]]*\];[^;]*' "$work/p.folded" | sed 's/^[^;]*;//' | sort | uniq -c | sort -rn | head -2 |
		sed 's/^/             /' || true
}

# show_threads: the same for Java's own threads and for those of its runtime, by their names.
show_threads() {
	awk -v run="$run" '{ split($0, f, ";"); n = $NF
			kind = f[1] ~ /^(java|Reference Handl|Finalizer|Common-Cleaner)/ ? "of Java" : "of the runtime"
			all[kind] += n; if (f[2] !~ /^\[/) whole[kind] += n }
		END { for (k in all) printf "   %-4s threads %s: %d samples, %.3f %% complete\n", run, k, all[k], 100 * whole[k] / all[k] }' "$work/p.folded"
}

build_programs
for name in "${names[@]}"; do
	rm -rf "$work/cache"
	for run in cold warm; do
		if [[ " ${servers[*]} " == *" $name "* ]]; then
			serve "$name" $((seconds + 5))
			measure record --comm "$comms" -d "${seconds}s"
		else
			command_of "$name" || continue
			measure timeout -s INT "$seconds" record -- "${argv[@]}"
		fi
		unload
		show "$name"
		[[ $name != java ]] || show_threads
	done
done
