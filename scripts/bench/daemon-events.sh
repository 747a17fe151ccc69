#!/usr/bin/env bash
# daemon-events.sh [ROUNDS [SECONDS]]: what page faults and off-CPU time add to the daemon on a busy web server: nginx with
# a worker for each CPU under wrk, which keep all CPUs busy. In each round the daemon runs with each line of EVENTS (its
# sampling.events), in an order that turns about, after one run that is not counted and leaves the unwind tables on disk.
# Per cent of the whole machine: the daemon's process (/proc) and its programs (bpf_stats, which cost some themselves, and
# what off-CPU time's took at each switch); and requests a second, which differ by some per cent from run to run.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

rounds=${1:-3}
seconds=${2:-4}
address=127.0.0.1:9798
web=127.0.0.1:18080
mapfile -t events <<<"${EVENTS:-cpu
cpu page-faults:100
cpu page-faults:100 off-cpu}"

mkdir -p "$work/web"
head -c 1024 /dev/zero | tr '\0' x >"$work/web/index.html"
cat >"$work/nginx.conf" <<C
worker_processes auto;
pid $work/nginx.pid;
error_log stderr crit;
events { worker_connections 512; }
http {
	access_log off;
	client_body_temp_path $work; proxy_temp_path $work; fastcgi_temp_path $work; uwsgi_temp_path $work; scgi_temp_path $work;
	server { listen $web; root $work/web; keepalive_requests 1000000; }
}
C
chmod 755 "$work" "$work/web"
nginx -c "$work/nginx.conf" -g 'daemon off;' &
load+=($!)
until curl -sf "http://$web/" >/dev/null; do sleep 0.05; done
stats=$(cat /proc/sys/kernel/bpf_stats_enabled)
trap 'echo "$stats" >/proc/sys/kernel/bpf_stats_enabled; finish' EXIT
echo 1 >/proc/sys/kernel/bpf_stats_enabled

# spent: seconds that the daemon has used, and its programs of all kinds.
spent() {
	local ns
	ns=$(cat /proc/"$daemon"/fdinfo/* 2>/dev/null | awk '$1 == "run_time_ns:" { ns += $2 } END { print ns + 0 }')
	cat /proc/"$daemon"/task/*/schedstat | awk -v ns="$ns" '{ on += $1 } END { print on / 1e9, ns / 1e9 }'
}

# switching: nanoseconds and runs so far of its programs that have run most often, those of sched_switch.
switching() {
	cat /proc/"$daemon"/fdinfo/* 2>/dev/null | awk '$1 == "run_time_ns:" { ns = $2 } $1 == "run_cnt:" && $2 > most { most = $2; its = ns }
		END { print its + 0, most + 0 }'
}

# measure NUMBER: one run of the daemon with a line of EVENTS.
measure() {
	local list rate before switches switching
	list=$(tr ' ' '\n' <<<"${events[$1]}" | sed "s/.*/'&'/" | paste -sd,)
	printf 'sampling: {events: [%s]}\n' "$list" >"$work/config.yaml"
	"$ebpfprof" daemon --config "$work/config.yaml" --listen "$address" --store "$work/store$1" --unwind-cache "$work/unwind" \
		2>>"$work/log" &
	daemon=$!
	until curl -sf "http://$address/ready" >/dev/null; do sleep 0.05; done
	sleep 2 # unwind tables
	before=$(spent)
	switching=$(switching)
	switches=$(awk '/^ctxt/ { print $2 }' /proc/stat)
	rate=$(wrk -t 1 -c 32 -d "${seconds}s" "http://$web/" | awk '/Requests\/sec/ { print $2 }')
	switches=$(($(awk '/^ctxt/ { print $2 }' /proc/stat) - switches))
	echo "$rate $before $(spent) $switches $switching $(switching)" >>"$work/result$1"
	kill -TERM $daemon
	wait $daemon || true
}

measure $((${#events[@]} - 1))
rm "$work/result"*
for ((round = 0; round < rounds; round++)); do
	for ((i = 0; i < ${#events[@]}; i++)); do
		measure $(((i + round) % ${#events[@]}))
	done
done
for ((i = 0; i < ${#events[@]}; i++)); do
	awk -v name="${events[i]}" -v whole="$((seconds * $(nproc)))" -v seconds="$seconds" '
		{ rate += $1; p = 100 * ($4 - $2) / whole; b = 100 * ($5 - $3) / whole; process += p; programs += b; switches += $6 / seconds
			if ($10 > $8 && $10 - $8 > $6 / 2) { ns += $9 - $7; runs += $10 - $8 }
			each = each sprintf(" %.3f", p + b) }
		END { printf "%-28s %6.0f requests, %6.0f switches a second; process %.3f %% + programs %.3f %% = %.3f %% of the machine (each:%s)%s\n",
			name, rate / NR, switches / NR, process / NR, programs / NR, (process + programs) / NR, each,
			runs ? sprintf("; %.0f ns a switch", ns / runs) : "" }' "$work/result$i"
done
