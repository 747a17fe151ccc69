#!/usr/bin/env bash
# check-web.sh: the committed assets of the page are those of its sources, its types are right, and its unit tests pass.
# Only types and tests need Node, and what package-lock.json pins.
set -euo pipefail
cd "$(dirname "$0")/.."

committed=$(mktemp -d)
trap 'rm -rf "$committed"' EXIT
cp -r web/dist "$committed"
go generate ./web
if ! diff -rq "$committed/dist" web/dist; then
	echo "check-web: web/dist is not what the sources make (run make web and commit it)" >&2
	exit 1
fi
cd web
npm ci --silent --no-audit --no-fund --ignore-scripts
npm run --silent check
npm test --silent
