#!/usr/bin/env bash
# offcpu.sh [ROUNDS [SECONDS]]: what off-CPU accounting takes from programs that switch all the time: pairs of processes that
# hand a byte to and fro, one pair on each CPU, with and without the profiler in turn. PAUSE is the work between, in ns:
# 14000 makes some 200,000 switches a second on two CPUs, 0 as many as the machine can. MODES are what is compared, of
# off-cpu (the whole machine), filtered (another process only), cpu (the event cpu alone) and bcc (offcputime of bpfcc-tools
# or libbpf-tools, if installed).
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

rounds=${1:-5}
seconds=${2:-1}
read -ra modes <<<"${MODES:-off-cpu filtered}"
gcc -O2 -o "$work/pingpong" internal/target/testdata/pingpong.c
pairs=$(nproc)

begin() { # MODE
	local event=(-e off-cpu)
	case $1 in
	off-cpu) set -- -a ;;
	filtered) set -- -p $$ ;;
	cpu) event=(-e cpu) && set -- -a ;;
	bcc)
		# bpfcc-tools' needs kprobes and compiles; libbpf-tools' is the same on tp_btf, without frames of user code named.
		"$(command -v offcputime || command -v offcputime-bpfcc)" 3600 >/dev/null 2>"$work/bcc.err" &
		profiler=$!
		sleep 3
		kill -0 $profiler 2>/dev/null || {
			echo "bcc: cannot run here: $(tail -n 1 "$work/bcc.err")"
			return 1
		}
		return
		;;
	esac
	"$ebpfprof" record "${event[@]}" "$@" -d 3600s -o "$work/p.folded" --summary "$work/s.json" -q &
	profiler=$!
	sleep 1.5
}

end() {
	kill -INT "$profiler"
	wait "$profiler" || true
}

rate() {
	"$work/pingpong" "$pairs" "$seconds" "$pause" | tail -n 1
}

for pause in ${PAUSES:-${PAUSE:-14000 0}}; do
	for mode in "${modes[@]}"; do
		rm -f "$work/off" "$work/on"
		for ((i = 0; i < rounds; i++)); do
			rate >>"$work/off"
			begin "$mode" || continue 2
			rate >>"$work/on"
			end
		done
		off=$(sort -n "$work/off" | sed -n "$((rounds / 2 + 1))p")
		on=$(sort -n "$work/on" | sed -n "$((rounds / 2 + 1))p")
		cost=$(paste "$work/off" "$work/on" | awk '{ print 100 * (1 - $2 / $1) }' | sort -n | sed -n "$((rounds / 2 + 1))p")
		printf '%-9s %7d switches a second without, %7d with: median cost of pairs %.1f%%, %.0f ns a switch and CPU\n' \
			"$mode" "$off" "$on" "$cost" "$(calc "($pairs / $on - $pairs / $off) * 1e9")"
		[[ $mode == bcc ]] || printf '          fired %s, ring_full %s, coverage %s\n' "$(json fired "$work/s.json")" \
			"$(json ring_full "$work/s.json")" "$(json coverage "$work/s.json" 2>/dev/null || echo none)"
	done
done
