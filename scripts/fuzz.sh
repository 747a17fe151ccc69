#!/usr/bin/env bash
# fuzz.sh [FUZZTIME]: runs each fuzz target of the repository for FUZZTIME (20s), one after the other.
set -euo pipefail
cd "$(dirname "$0")/.."

fuzztime=${1:-20s}
count=0
while IFS=: read -r file target; do
	dir=./$(dirname "$file")
	echo "== $dir $target"
	go test -run '^$' -fuzz "^$target\$" -fuzztime "$fuzztime" -fuzzminimizetime 100x "$dir" </dev/null
	count=$((count + 1))
done < <(grep -roE '^func Fuzz[A-Za-z0-9_]+' --include='*_test.go' . | sed 's|^\./||; s|func ||' | sort)
echo "$count fuzz targets ran for $fuzztime each"
