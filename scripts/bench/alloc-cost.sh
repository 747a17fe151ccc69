#!/usr/bin/env bash
# alloc-cost.sh [ROUNDS]: what one call of an allocator costs more while it is probed, without a budget: of a loop of calls of
# every kind, of python3 and of sqlite3. CPU time with and without in turn, by the calls that the probes counted;
# medians. Of python3 and sqlite3 the first 50 ms may pass before they are found: it is the cost of a call that does not depend on it.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

rounds=${1:-5}
allocs=$(target allocs)
cat >"$work/work.py" <<'P'
import json
rows = [{"id": i, "name": "x" * (600 + i % 900), "tags": ["a" * 700, "b"]} for i in range(300)]
for _ in range(60):
    json.loads(json.dumps(rows))
P
cat >"$work/work.sql" <<'P'
CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40000) INSERT INTO t SELECT i, printf('%d-%0200d', i, i) FROM n;
SELECT count(*), group_concat(substr(b, 1, 5)) FROM (SELECT b FROM t ORDER BY b DESC) WHERE length(b) < 0;
SELECT sum(length(replace(b || b, '0', 'xy'))) FROM t;
P
python=$(python3 -c 'import sys; print(sys.executable)')

# of NAME: sets command.
of() {
	case $1 in
	loop) command=("$allocs" 300000) ;;
	python3) command=("$python" "$work/work.py") ;;
	sqlite3) command=(sqlite3 :memory: ".read $work/work.sql") ;;
	esac
}

# used COMMAND...: CPU time of it and of what it starts, in seconds.
used() {
	/usr/bin/time -o "$work/time" -f '%U %S' "$@" >/dev/null 2>"$work/err" || cat "$work/err" >&2
	awk '{ print $1 + $2 }' "$work/time"
}

# sampled NAME: CPU time of the program by itself under record, as it tells, and the calls.
sampled() {
	cat >"$work/inner" <<S
#!/bin/bash
exec /usr/bin/time -o $work/time -f '%U %S' "\$@"
S
	chmod +x "$work/inner"
	"$ebpfprof" record -q --as-root -e alloc --alloc-budget 0 --summary "$work/s.json" -o "$work/p.pb.gz" -- "$work/inner" "${command[@]}" >/dev/null
	awk -v hits="$(json hits "$work/s.json")" '{ print $1 + $2, hits }' "$work/time"
}

median() { sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

for name in loop python3 sqlite3; do
	command -v "$name" >/dev/null || [[ $name == loop ]] || continue
	of "$name"
	rm -f "$work/each" "$work/off" "$work/on"
	for ((i = 0; i < rounds; i++)); do
		off=$(used "${command[@]}")
		read -r on hits < <(sampled "$name")
		echo "$off" >>"$work/off"
		echo "$on" >>"$work/on"
		calc "($on - $off) * 1e6 / $hits" >>"$work/each"
		echo >>"$work/each"
	done
	printf '%-8s %6.3f s of CPU time without, %6.3f s with some %s hits: %s us a call\n' "$name" "$(median <"$work/off")" \
		"$(median <"$work/on")" "$hits" "$(median <"$work/each")"
done
