#!/usr/bin/env bash
# lint.sh [NAME...]: runs the named checks, or all: gofmt vet staticcheck clang-format shellcheck.
set -euo pipefail
cd "$(dirname "$0")/.."

failed=()

# check NAME COMMAND...: runs one check and remembers that it failed.
check() {
	local name=$1
	shift
	printf 'lint: %s\n' "$name" >&2
	"$@" || failed+=("$name")
}

gofmt_clean() {
	local files
	files=$(find . -name '*.go' -not -path './build/*' -print0 | xargs -0 gofmt -l)
	[[ -z $files ]] && return
	echo "these files are not formatted (run gofmt -w on them):" >&2
	echo "$files" >&2
	return 1
}

c_formatted() {
	local tool
	tool=$(command -v clang-format-19 || command -v clang-format) || {
		echo "no clang-format: run scripts/install-deps.sh lint" >&2
		return 1
	}
	find bpf preload vmlinux test internal/fakepmu -name '*.[ch]' -print0 | xargs -0 "$tool" --dry-run -Werror
}

shell_clean() {
	grep -rlE '^#!.*\b(ba)?sh$' .ci preload scripts test --include='*' | xargs shellcheck
}

names=("$@")
((${#names[@]})) || names=(gofmt vet staticcheck clang-format shellcheck)
for name in "${names[@]}"; do
	case $name in
	gofmt) check gofmt gofmt_clean ;;
	vet) check vet go vet ./... ;;
	staticcheck) check staticcheck go tool staticcheck ./... ;;
	clang-format) check clang-format c_formatted ;;
	shellcheck) check shellcheck shell_clean ;;
	*)
		echo "lint: no check named $name" >&2
		exit 2
		;;
	esac
done
if ((${#failed[@]})); then
	echo "lint: failed: ${failed[*]}" >&2
	exit 1
fi
