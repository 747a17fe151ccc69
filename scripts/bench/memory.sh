#!/usr/bin/env bash
# memory.sh [SECONDS]: what a recording of the whole machine takes while all programs run at once, with a program of
# 200 MB of code and two million rows among them; and how soon that one's stacks are complete.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=programs.sh
. "$(dirname "$0")/programs.sh"

seconds=${1:-20}

# 400,000 functions of 512 bytes with five rows each. They are called in turn, so that all of the table is looked into.
cat >"$work/functions.S" <<'C'
	.text
	.globl first
	.p2align 9
first:
	.rept 400000
	.p2align 9
	.cfi_startproc
	push %rbx
	.cfi_def_cfa_offset 16
	push %rbp
	.cfi_def_cfa_offset 24
	sub $24, %rsp
	.cfi_def_cfa_offset 48
	call spin
	add $24, %rsp
	.cfi_def_cfa_offset 24
	pop %rbp
	.cfi_def_cfa_offset 16
	pop %rbx
	.cfi_def_cfa_offset 8
	ret
	.fill 448, 1, 0x90
	.cfi_endproc
	.endr
	.section .note.GNU-stack, "", @progbits
C
cat >"$work/huge.c" <<'C'
extern char first[];
void spin(void) { for (volatile int i = 0; i < 300; i++); }
int main(void) { for (unsigned long n = 0;; n = n * 6364136223846793005UL + 1442695040888963407UL) ((void (*)(void))(first + (n >> 33) % 400000 * 512))(); }
C
gcc -O2 -fomit-frame-pointer -o "$work/huge" "$work/huge.c" "$work/functions.S"
"$ebpfprof" doctor --unwind "$work/huge" | sed 1d
build_programs

# look NAME SECONDS: records the machine for a time, and prints what it took.
look() {
	/usr/bin/time -o "$work/time" -f %M "$ebpfprof" record -a -d "$2s" --unwind-cache "$work/cache" -o "$work/p.folded" \
		--summary "$work/s.json" -q
	awk -v name="$1" '/^huge;/ { all += $NF; if ($0 !~ /^huge;\[/) whole += $NF }
		END { printf "%s: %d of %d stacks of the huge program complete", name, whole, all }' "$work/p.folded"
	printf ', resident at most %.1f MiB, kernel %.1f MiB; tables: %s\n' "$(calc "$(cat "$work/time") / 1024")" \
		"$(calc "$(json kernel_bytes "$work/s.json") / 1048576")" \
		"$(tr -d '\n ' <"$work/s.json" | grep -oE '"unwind_tables":\{[^}]*' | cut -d'{' -f2)"
}

for _ in 1 2; do
	"$work/huge" &
	load+=($!)
done
sleep 1
look 'alone, first 2 s, no table on disk' 2
look 'alone, first 2 s, table on disk' 2
rm -rf "$work/cache"
for name in "${servers[@]}"; do
	serve "$name" $((seconds + 60))
done
for name in "${commands[@]}"; do
	command_of "$name" || continue
	(exec "${argv[@]}") >/dev/null 2>&1 </dev/null &
	load+=($!)
done
sleep 2
look 'with all others, first 2 s, no table on disk' 2
look 'with all others, first 2 s, tables on disk' 2
rm -rf "$work/cache"
look "$seconds s, no table on disk" "$seconds"
look "$seconds s, tables on disk" "$seconds"
