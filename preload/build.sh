#!/usr/bin/env bash
# build.sh: makes the committed helpers, pkg/preload/helper_*.so, with clang 19 and lld 19, byte for byte.
#
# It links nothing, and fails if the result asks for more than every C library has.
set -euo pipefail
cd "$(dirname "$0")"

# shellcheck disable=SC2054 # the commas are the linker's
flags=(-std=gnu17 -O2 -Wall -Wextra -Werror -Wno-unused-parameter
	-ffreestanding -fno-builtin -nostdlib -nostdlibinc -fPIC -shared -fvisibility=hidden
	-fno-stack-protector -fno-omit-frame-pointer -momit-leaf-frame-pointer -fasynchronous-unwind-tables
	-fuse-ld=lld-19 -Wl,-soname,libebpfprof-preload.so -Wl,--build-id=none -Wl,--hash-style=both
	-Wl,-z,now -Wl,-z,relro -Wl,-z,noexecstack -Wl,--no-undefined-version -Wl,-z,max-page-size=65536
	-Wl,--unresolved-symbols=ignore-all)

# build GOARCH TRIPLE [FLAG...]
build() {
	local out=../pkg/preload/helper_$1.so undefined
	clang-19 --target="$2" "${flags[@]}" "${@:3}" -o "$out" preload.c
	chmod 644 "$out"
	llvm-strip-19 --strip-all --keep-section=.note.stapsdt "$out"
	undefined=$(llvm-nm-19 --dynamic --undefined-only --format=posix "$out" | cut -d' ' -f1 | sort | tr '\n' ' ')
	[[ $undefined == "_r_debug dl_iterate_phdr getauxval " ]] || {
		echo "build: helper for $1 needs: $undefined" >&2
		exit 1
	}
}

build amd64 x86_64-linux-gnu
build arm64 aarch64-linux-gnu -mno-outline-atomics
