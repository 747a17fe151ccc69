#!/usr/bin/env bash
# test.sh [go test flags]: runs the tests of every module of the repository, those of the root module last.
#
# Tests of the kernel side need root: for anybody else the test binaries are run through sudo. One
# package at a time, because samplers of the whole machine would see each other's load. The page's tests in a browser
# are left to make test-page: what they wait for depends on how busy the machine is.
set -euo pipefail
cd "$(dirname "$0")/.."

flags=(-count=1 -p 1 -timeout 20m "$@")
if ((EUID != 0)); then
	flags+=(-exec "sudo -E env PATH=$PATH")
fi

find . -mindepth 2 -name go.mod -not -path '*/testdata/*' -not -path './build/*' -not -path './test/page/*' -print | while read -r mod; do
	dir=$(dirname "$mod")
	echo "== module $dir"
	(cd "$dir" && go test "${flags[@]}" ./... </dev/null)
done
go test "${flags[@]}" ./...
