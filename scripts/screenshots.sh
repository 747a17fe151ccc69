#!/usr/bin/env bash
# screenshots.sh: makes the pictures of the documentation anew, from a real recording of this machine and from a daemon
# that profiles the programs of the page's tests.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p docs/images
EBPFPROF_SCREENSHOTS=$PWD/docs/images go -C test/page test -count=1 -run TestScreenshots .
scripts/bench/main-job.sh "$work" >/dev/null
chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
	--disable-background-networking --disable-component-update --disable-sync \
	--user-data-dir="$work/chromium" --window-size=1280,640 --hide-scrollbars \
	--screenshot="$PWD/docs/images/flamegraph.png" "file://$work/main-job.svg" 2>/dev/null
head -n 24 "$work/main-job.txt" >docs/images/top.txt
