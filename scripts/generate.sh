#!/usr/bin/env bash
# generate.sh [--check]: regenerates the committed BPF objects, their Go types, and the helpers of record --preload.
#
# --check fails when that changes a file, and restores nothing: the difference is left to look at.
# The objects are those of clang 19, byte for byte; another version makes others.
set -euo pipefail
cd "$(dirname "$0")/.."

for tool in clang-19 llvm-strip-19 ld.lld-19; do
	command -v $tool >/dev/null || {
		echo "generate: there is no $tool: run scripts/install-deps.sh generate" >&2
		exit 1
	}
done

generated() {
	find pkg/loader pkg/preload \( -name '*_bpfel.go' -o -name '*_bpfel.o' -o -name 'helper_*.so' \) -print0 | sort -z | xargs -0 -r sha256sum
}

before=$(generated)
go generate ./pkg/loader
preload/build.sh
[[ ${1:-} == --check ]] || exit 0
after=$(generated)
if [[ $before != "$after" ]]; then
	echo "generate: the committed objects are not those of the sources; run make generate and commit:" >&2
	diff <(echo "$before") <(echo "$after") >&2
	exit 1
fi
[[ -n $after ]] || {
	echo "generate: go generate ./pkg/loader makes no *_bpfel.o" >&2
	exit 1
}
