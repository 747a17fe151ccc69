#!/usr/bin/env bash
# preload.sh [ROUNDS]: what record --preload takes from a program, in CPU time, in pairs of runs that take turns: a loop of
# malloc(64) and free, without it, with the helper alone, and while it is recorded; and a Python program, without and recorded.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

rounds=${1:-11}
loop="$(target mallocpairs) 10000000"
program='import json
for i in range(60): json.loads(json.dumps({str(n): [n] * 20 for n in range(2000)}))'

# The helper as a recording would have it, without one.
# shellcheck disable=SC2016
"$ebpfprof" record -q -e alloc --preload -o "$work/p.folded" -- sh -c 'cp "${LD_PRELOAD%%:*}" "$1"' sh "$work/helper.so" || true
[[ -s $work/helper.so ]] || {
	echo "preload: no helper" >&2
	exit 1
}

recorded() {
	"$ebpfprof" record -q --as-root -e alloc --preload -o "$work/p.folded" --summary "$work/s.json" -- "$@"
}

# seconds COMMAND...: its CPU time.
seconds() {
	/usr/bin/time -o "$work/time" -f '%U %S' "$@" >/dev/null
	awk '{ print $1 + $2 }' "$work/time"
}

median() {
	sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

for ((i = 0; i < rounds; i++)); do
	# shellcheck disable=SC2086
	{
		none=$($loop | cut -d' ' -f2)
		helper=$(LD_PRELOAD=$work/helper.so $loop | cut -d' ' -f2)
		with=$(recorded $loop | cut -d' ' -f2)
	}
	echo "$none" >>"$work/none"
	calc "$helper - $none" >>"$work/helper"
	echo >>"$work/helper"
	calc "$with - $none" >>"$work/with"
	echo >>"$work/with"
done
echo "a pair of malloc(64) and free: $(median <"$work/none") ns; more with the helper: $(median <"$work/helper") ns," \
	"and recorded: $(median <"$work/with") ns (medians of $rounds)"
json hits "$work/s.json" | sed 's/^/samples of the last recording: /'

command -v python3 >/dev/null || exit 0
for ((i = 0; i < rounds; i++)); do
	none=$(seconds python3 -c "$program")
	with=$(seconds env LD_PRELOAD="$work/helper.so" python3 -c "$program")
	calc "100 * ($with / $none - 1)" >>"$work/python"
	echo >>"$work/python"
done
echo "python3, JSON: $(median <"$work/python") % more CPU time with the helper (median of $rounds)"
