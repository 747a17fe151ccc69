#!/usr/bin/env bash
# goheap.sh [RUNS [VERSION...]]: reads the memory profiles of RUNS (50) Go processes of each version (1.20 to 1.26) and way
# of linking from outside, and compares each record with what the process itself says; the same under load, for block and
# mutex profiles, and for where the runtime's variables are on amd64 and arm64. Then what a read costs. Versions of Go come
# from the module proxy.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

runs=${1:-50}
shift || true
versions=("$@")
(($# > 0)) || versions=(1.20.14 1.21.13 1.22.12 1.23.12 1.24.13 1.25.5 1.26.8)

for version in "${versions[@]}"; do
	EBPFPROF_GOHEAP_RUNS=$runs EBPFPROF_GOHEAP_VERSIONS=$version go test -count=1 -timeout 30m -v ./pkg/goheap \
		-run '^(TestHeap|TestHeapUnderLoad|TestContention|TestDisabled|TestEnable|TestLocate)$' >"$work/$version" 2>&1 || {
		cat "$work/$version" >&2
		exit 1
	}
	echo "## Go $version"
	grep -oE '(static|pie|stripped|stripped-pie|cgo|cgo-stripped)$|[0-9]+ (runs|readings|stacks).*' "$work/$version"
done
echo "## cost of a read"
go test -run '^$' -bench '^BenchmarkHeap$' ./pkg/goheap | grep '^Benchmark'
