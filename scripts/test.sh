#!/usr/bin/env bash
# test.sh [go test flags]: runs the tests of every module of the repository, those of the root module last.
#
# Tests of the kernel side need root: for anybody else the test binaries are run through sudo. One
# package at a time, because samplers of the whole machine would see each other's load. The page's tests in a browser
# are left to make test-page and other kernels to make test-vm, which .ci/run runs as well.
#
# Tests that fail are run once more, alone, and named as such: they watch real programs on a real machine, which other
# work can hold up for seconds. What fails twice fails.
set -euo pipefail
cd "$(dirname "$0")/.."

flags=(-count=1 -p 1 -timeout 20m "$@")
if ((EUID != 0)); then
	flags+=(-exec "sudo -E env PATH=$PATH")
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# again reruns what the log says to have failed; it fails where a package did so without a test of its own.
again() {
	local tests='' package status=0
	if grep -q '^panic: ' "$log"; then
		return 1
	fi
	while read -r kind name _; do
		case $kind in
		---) tests+="${tests:+|}$name" ;;
		FAIL)
			package=$name
			if [[ -z $tests ]]; then
				return 1
			fi
			echo "==> failed, and run again alone: $package $tests"
			go test "${flags[@]}" -run "^($tests)\$" "$package" </dev/null || status=1
			tests=
			;;
		esac
	done < <(sed -nE 's/^--- FAIL: ([^ ]+) .*/--- \1/p; s/^FAIL\t([^ \t]+)(\t.*| \[.*)/FAIL \1/p' "$log")
	return "$status"
}

# module runs the tests of the module in a directory.
module() (
	cd "$1"
	go test "${flags[@]}" ./... </dev/null 2>&1 | tee "$log" && return
	again
)

find . -mindepth 2 -name go.mod -not -path '*/testdata/*' -not -path './build/*' -not -path './test/page/*' -print | while read -r mod; do
	echo "== module $(dirname "$mod")"
	module "$(dirname "$mod")"
done
module .
