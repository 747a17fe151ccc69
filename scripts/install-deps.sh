#!/usr/bin/env bash
# install-deps.sh SET...: installs the Debian or Ubuntu packages of each SET, if they are missing.
#
#   generate   regenerating the BPF objects (building needs nothing but Go)
#   lint       make lint
#   web        make check-web (building the page needs nothing but Go)
#   test       make test
#   vm         make test-vm and make check-core
#
# Changes nothing and asks no mirror when all of them are there. "a|b" means the first of them that
# this distribution has. No service is started by an installation from here.
set -euo pipefail

packages() {
	case $1 in
	generate) echo "clang-19 llvm-19 lld-19 libbpf-dev make" ;;
	lint) echo "clang-format-19|clang-format shellcheck make" ;;
	test) echo "gcc g++ libc6-dev gdb binutils wrk nginx-light|nginx redis-server postgresql" \
		"postgresql-contrib chromium|chromium-browser linux-perf|linux-tools-generic time procps" \
		"libjemalloc2 libtcmalloc-minimal4|libtcmalloc-minimal4t64 libmimalloc2.0|libmimalloc3 musl-tools" \
		"lz4 zstd xz-utils make default-jdk-headless" ;;
	web) echo "nodejs npm make" ;;
	vm) echo "qemu-system-x86 qemu-system-arm gcc libc6-dev gcc-aarch64-linux-gnu" \
		"libc6-dev-arm64-cross debian-archive-keyring libelf1|libelf1t64 lz4 zstd xz-utils make" ;;
	*) die "no set named $1: generate, lint, web, test or vm" ;;
	esac
}

die() {
	echo "install-deps: $*" >&2
	exit 1
}

# NodeSource's nodejs brings npm, and does not go together with Debian's.
installed() {
	[[ $1 == npm ]] && command -v npm >/dev/null && return
	[[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

# missing ENTRY...: the entries of which no alternative is installed.
missing() {
	local entry name names
	for entry in "$@"; do
		IFS='|' read -ra names <<<"$entry"
		for name in "${names[@]}"; do
			installed "$name" && continue 2
		done
		echo "$entry"
	done
}

# choose ENTRY: its first alternative that can be installed.
choose() {
	local name names policy
	IFS='|' read -ra names <<<"$1"
	for name in "${names[@]}"; do
		policy=$(apt-cache policy "$name" 2>/dev/null)
		if [[ $policy == *"Candidate: "[^\(]* ]]; then
			[[ $name == "${names[0]}" ]] ||
				echo "install-deps: there is no ${names[0]} here, installing $name instead" >&2
			echo "$name"
			return
		fi
	done
	die "none of ${1//|/, } can be installed: is the distribution's main archive enabled?"
}

(($#)) || die "name a set: generate, lint, web, test or vm"
entries=()
for set in "$@"; do
	list=$(packages "$set")
	read -ra names <<<"$list"
	entries+=("${names[@]}")
done

command -v dpkg-query apt-get >/dev/null ||
	die "this is no Debian or Ubuntu; install by hand: ${entries[*]%%|*}"
mapfile -t entries < <(missing "${entries[@]}" | sort -u)
((${#entries[@]})) || exit 0

as_root=()
if ((EUID != 0)); then
	command -v sudo >/dev/null || die "needs root to install: ${entries[*]%%|*}"
	as_root=(sudo)
fi
echo "install-deps: installing ${entries[*]%%|*}" >&2
"${as_root[@]}" apt-get -qq update || die "apt-get update failed"
wanted=()
for entry in "${entries[@]}"; do
	name=$(choose "$entry")
	wanted+=("$name")
done

# Database and web servers are wanted as programs: policy-rc.d keeps them from being started.
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
	trap '"${as_root[@]}" rm -f "$policy"' EXIT
	printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
	"${as_root[@]}" chmod 755 "$policy"
fi
log=$(mktemp)
if ! "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 \
	install --no-install-recommends "${wanted[@]}" </dev/null >"$log" 2>&1; then
	tail -n 30 "$log" >&2
	die "apt-get install ${wanted[*]} failed (log: $log)"
fi
rm -f "$log"
