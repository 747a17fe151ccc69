#!/usr/bin/env bash
# short-lives.sh [SECONDS]: 300 processes a second that each live under 20 ms: samples without a name of the process, and
# user frames without a function's name.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

seconds=${1:-10}
program=$(target shortlived)
"$ebpfprof" record -F 999 -o "$work/p.folded" -o "$work/p.pb.gz" --summary "$work/s.json" -- "$program" 300 "$seconds" 3
awk '{ n = $NF; all += n; if (/burn_short/) named += n; if ($1 ~ /^;/) nameless += n }
	END { printf "%d samples, %d without comm, %.1f %% in the named function\n", all, nameless, 100 * named / all }' "$work/p.folded"
