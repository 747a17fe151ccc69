#!/usr/bin/env bash
# heap-peak.sh: the peak of programs' heaps, and the CPU time that it took to find, by valgrind's massif, by heaptrack, and by
# record -e heap (its own time included), each in a run of its own.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
for tool in valgrind heaptrack heaptrack_print python3 sqlite3; do
	command -v "$tool" >/dev/null || {
		echo "needs $tool" >&2
		exit 1
	}
done

# cpu COMMAND...: sets spent, user and system time in seconds.
cpu() {
	/usr/bin/time -o "$work/time" -f '%U %S' "$@" >"$work/out" 2>&1 <"$input" || {
		cat "$work/out" >&2
		exit 1
	}
	spent=$(awk 'END { print $1 + $2 }' "$work/time")
}

# most FILE: the largest heap in massif's format.
most() {
	awk -F= '/^mem_heap_B=/ && $2 > m { m = $2 } END { print m + 0 }' "$1"
}

# compare NAME COMMAND...
compare() {
	local name=$1 bare massif heaptrack peak_massif peak_heaptrack
	shift
	cpu "$@"
	bare=$spent
	cpu valgrind --tool=massif --massif-out-file="$work/massif" --peak-inaccuracy=0.1 "$@"
	massif=$spent peak_massif=$(most "$work/massif")
	rm -f "$work"/ht*
	cpu heaptrack -o "$work/ht" "$@"
	heaptrack=$spent
	heaptrack_print -f "$work"/ht.* -M "$work/htm" >/dev/null 2>&1
	peak_heaptrack=$(most "$work/htm")
	cpu "$ebpfprof" record -e heap --as-root --summary "$work/s.json" -o "$work/h.pb.gz" -- "$@"
	echo "$name: CPU bare $bare s, massif $massif, heaptrack $heaptrack, record $spent, of which its own process $(json user_seconds "$work/s.json") in user mode, and probes $(json cost_seconds "$work/s.json")"
	echo "$name: peak massif $peak_massif, heaptrack $peak_heaptrack, record $(json peak_bytes "$work/s.json"): $(calc "100 * ($(json peak_bytes "$work/s.json") / $peak_massif - 1)") % of massif's, from $(json samples "$work/s.json") samples"
}

cat >"$work/lists.py" <<'END'
import json
rows = [{"id": i, "name": "n%d" % i * 5, "values": [i] * 20} for i in range(20000)]
read = json.loads(json.dumps(rows))
names = sorted(x["name"].upper() * 10 for x in read)
big = bytearray(20 << 20)
del rows
END
cat >"$work/table.sql" <<'END'
create table t(a integer primary key, b text, c text);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 150000)
	insert into t select i, hex(randomblob(20)), hex(randomblob(100)) from n;
create index x on t(b);
select count(*), max(c) from t;
END
input=/dev/null
compare heaps "$(target heaps)" 50000
compare python3 "$(python3 -c 'import sys; print(sys.executable)')" "$work/lists.py"
input=$work/table.sql
compare sqlite3 "$(command -v sqlite3)"
