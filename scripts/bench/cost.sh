#!/usr/bin/env bash
# cost.sh [SECONDS [HZ...]]: the profiler's own cost with every CPU busy, by the kernel's count of its programs
# (bpf_stats) and of its process (wait4), and perf record's in the same minutes.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

seconds=${1:-60}
shift || true
rates=("${@:-99}")
(($# > 0)) || rates=(99 997)
machine="$seconds * $(nproc)"

# line NAME HZ USER SYS BPF KIB: one line of the table; the times in seconds.
line() {
	printf '%-18s %4s Hz  kernel %6s %%  user %6s %%  sum %6s %%  resident %5.1f MiB\n' "$1" "$2" \
		"$(calc "100 * ($4 + $5) / ($machine)")" "$(calc "100 * $3 / ($machine)")" \
		"$(calc "100 * ($3 + $4 + $5) / ($machine)")" "$(calc "$6 / 1024")"
}

# run COMMAND...: sets user, sys (seconds) and rss (KiB) of the command.
run() {
	/usr/bin/time -o "$work/time" -f '%U %S %M' "$@" >"$work/out" 2>&1 || {
		cat "$work/out" >&2
		exit 1
	}
	read -r user sys rss <"$work/time"
}

echo "# every CPU busy for $seconds s; per cent of the whole machine"
saturate $((2 * ${#rates[@]} * (seconds + 6)))
stats=$(cat /proc/sys/kernel/bpf_stats_enabled)
trap 'echo "$stats" >/proc/sys/kernel/bpf_stats_enabled; finish' EXIT
echo 1 >/proc/sys/kernel/bpf_stats_enabled
for hz in "${rates[@]}"; do
	# The program's own figure, as the kernel counts it, is read just before the end.
	(sleep $((seconds - 1)) && program_cost "$(pgrep -nf "$ebpfprof record -a -F")" >"$work/bpf") &
	run "$ebpfprof" record -a -F "$hz" -d "${seconds}s" -o "$work/p.pb.gz" --summary "$work/s.json" -q
	wait $!
	read -r ns count <"$work/bpf"
	line ebpfprof "$hz" "$user" "$sys" "$(calc "$ns / 1e9 * $seconds / ($seconds - 1)")" "$rss"
	printf '%-18s          %s samples, %s lost, %s us per run of the program, kernel maps %s MiB\n' '' \
		"$(json samples "$work/s.json")" "$(json ring_full "$work/s.json")" "$(calc "$ns / 1e3 / $count")" \
		"$(calc "$(json kernel_bytes "$work/s.json") / 1048576")"
	if command -v perf >/dev/null; then
		run perf record -F "$hz" -g -a -o "$work/perf.data" -- sleep "$seconds"
		line 'perf record -g' "$hz" "$user" "$sys" 0 "$rss"
	fi
done
