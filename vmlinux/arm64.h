/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* arch/arm64/include/uapi/asm/ptrace.h: fixed by the ABI, so not relocated. */
#pragma once

struct user_pt_regs {
	__u64 regs[31];
	__u64 sp;
	__u64 pc;
	__u64 pstate;
};

/* The kernel's own struct pt_regs starts with struct user_pt_regs. */
struct pt_regs {
	struct user_pt_regs user_regs;
};

typedef struct user_pt_regs bpf_user_pt_regs_t;
