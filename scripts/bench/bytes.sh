#!/usr/bin/env bash
# bytes.sh [SECONDS]: what ebpfprof writes for the same stacks as perf record --call-graph dwarf, which copies 8 KiB of the
# stack for each sample and unwinds later; both at 99 Hz, in turn, while a C++ program without frame pointers keeps every
# CPU busy.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

seconds=${1:-20}
cat >"$work/busy.cc" <<'C'
#include <algorithm>
#include <map>
#include <string>
#include <vector>
int main() { std::map<std::string, long> m; std::vector<long> v; for (long i = 0;; i++) {
	m[std::to_string(i * 7919 % 5003)] += i; v.push_back(i * 2654435761 % 100003);
	if (v.size() > 5000) { std::sort(v.begin(), v.end()); v.clear(); } } }
C
g++ -O3 -fomit-frame-pointer -o "$work/busy" "$work/busy.cc"
n=$(nproc)
for ((i = 0; i < n; i++)); do
	"$work/busy" &
	load+=($!)
done
"$ebpfprof" record -a -F 99 -d "${seconds}s" -o "$work/p.pb.gz" --summary "$work/s.json" -q
perf record -F 99 -a --call-graph dwarf -o "$work/perf.data" -- sleep "$seconds" >/dev/null 2>&1
ours=$(stat -c %s "$work/p.pb.gz") theirs=$(stat -c %s "$work/perf.data")
echo "ebpfprof record: $(json samples "$work/s.json") samples, $ours bytes"
echo "perf record --call-graph dwarf: $theirs bytes, $(calc "$theirs / $ours") times as many"
