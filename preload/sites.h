/* SPDX-License-Identifier: Apache-2.0 */
/* Where probes go: otel_memory:alloc and otel_memory:free of OpenTelemetry's profiler (design 00003), with the notes that
 * SystemTap's probes have (sys/sdt.h).
 *
 * The first instruction of each is one that kernels emulate instead of stepping over it (arch/.../probes), which is 13
 * times cheaper on a virtual machine. It is no NOP of five bytes: Linux 6.18 makes a call of that. */
#pragma once

#if defined(__x86_64__)
#define SITE "nop\n"
#define ARG0 "%rdi"
#define ARG1 "%rsi"
#define ARG2 "%rdx"
#elif defined(__aarch64__)
#define SITE "b 1f\n1:\n"
#define ARG0 "x0"
#define ARG1 "x1"
#define ARG2 "x2"
#else
#error "x86-64 and arm64"
#endif

#define PROBE(function, name, args)                                \
	__asm__(".pushsection .text\n"                             \
		".p2align 4\n"                                     \
		".hidden " #function "\n"                          \
		".globl " #function "\n"                           \
		".type " #function ", %function\n" #function ":\n" \
		".cfi_startproc\n" SITE "ret\n"                    \
		".cfi_endproc\n"                                   \
		".size " #function ", . - " #function "\n"         \
		".popsection\n"                                    \
		".pushsection .note.stapsdt, \"\", %note\n"        \
		".balign 4\n"                                      \
		".4byte 992f - 991f, 994f - 993f, 3\n"             \
		"991: .asciz \"stapsdt\"\n"                        \
		"992: .balign 4\n"                                 \
		"993: .8byte " #function ", _.stapsdt.base, 0\n"   \
		".asciz \"otel_memory\"\n"                         \
		".asciz \"" name "\"\n"                            \
		".asciz \"" args "\"\n"                            \
		"994: .balign 4\n"                                 \
		".popsection\n")

__asm__(".pushsection .stapsdt.base, \"aG\", %progbits, .stapsdt.base, comdat\n"
	".weak _.stapsdt.base\n"
	".hidden _.stapsdt.base\n"
	"_.stapsdt.base: .space 1\n"
	".size _.stapsdt.base, 1\n"
	".popsection\n");

PROBE(ebpfprof_alloc, "alloc", "8@" ARG0 " 8@" ARG1 " 8@" ARG2);
PROBE(ebpfprof_free, "free", "8@" ARG0);

/* weight is how many bytes the sample stands for. */
void ebpfprof_alloc(void *memory, size_t size, size_t weight);
void ebpfprof_free(void *memory);
