#!/usr/bin/env bash
# conservation.sh [SECONDS]: every event that fired is a sample or a counted loss, at 999 Hz with every CPU busy; then
# with the reader stopped on purpose and a ring that is too small.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

seconds=${1:-30}

check() {
	local fired samples lost
	fired=$(json fired "$work/s.json") samples=$(json samples "$work/s.json") lost=$(json ring_full "$work/s.json")
	echo "$1: fired $fired = samples $samples + lost $lost: $((fired == samples + lost ? 1 : 0))"
	go tool pprof -sample_index=samples -top "$work/p.pb.gz" 2>/dev/null | grep -o 'of [0-9.]* total' | head -1
}

saturate $((seconds + 30))
"$ebpfprof" record -a -F 999 -d "${seconds}s" -o "$work/p.pb.gz" --summary "$work/s.json" -q
check 'reading'
"$ebpfprof" record -a -F 4999 -d 6s --ring-bytes 65536 -o "$work/p.pb.gz" --summary "$work/s.json" -q &
sleep 2
kill -STOP $!
sleep 2
kill -CONT $!
wait $!
check 'stopped for 2 s'
