/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* User registers of the two architectures. */
#pragma once

#if defined(__TARGET_ARCH_x86)
#define USER_CS 0x33
static __always_inline bool user_mode(bpf_user_pt_regs_t *regs)
{
	return regs->cs & 3;
}
static __always_inline bool is_compat(struct pt_regs *regs)
{
	return (regs->cs & 0xffff) != USER_CS;
}
static __always_inline void take_regs(struct prof_state *w, struct pt_regs *regs)
{
	w->ip = regs->ip;
	w->sp = regs->sp;
	w->fp = regs->bp;
	w->bx = regs->bx;
}
/* One of the first three integer arguments (System V ABI for AMD64, 3.2.3). */
static __always_inline u64 argument(struct pt_regs *regs, u32 n)
{
	return n == 0 ? regs->di : n == 1 ? regs->si : regs->dx;
}
static __always_inline u64 instruction(struct pt_regs *regs)
{
	return regs->ip;
}
static __always_inline u64 returned(struct pt_regs *regs)
{
	return regs->ax;
}
/* What a function's entry and its return have in common: where the stack is at the return. */
static __always_inline u64 call_mark(struct pt_regs *regs, bool entry)
{
	return regs->sp + (entry ? 8 : 0);
}
/* Goes from a function's entry to its caller. */
static __always_inline long to_caller(struct pt_regs *regs)
{
	u64 ra;
	long err = bpf_probe_read_user(&ra, sizeof(ra), (void *)regs->sp);

	if (err)
		return err;
	regs->ip = ra;
	regs->sp += sizeof(ra);
	return 0;
}
#define STACK_PADDING 0
#else
#define PSR_MODE_MASK 0xf
#define PSR_MODE32_BIT 0x10
static __always_inline bool user_mode(bpf_user_pt_regs_t *regs)
{
	return (regs->pstate & PSR_MODE_MASK) == 0;
}
static __always_inline bool is_compat(struct pt_regs *regs)
{
	return regs->user_regs.pstate & PSR_MODE32_BIT;
}
static __always_inline void take_regs(struct prof_state *w, struct pt_regs *regs)
{
	w->ip = regs->user_regs.pc;
	w->sp = regs->user_regs.sp;
	w->fp = regs->user_regs.regs[29];
}
/* One of the first three integer arguments (AAPCS64, 6.8.2). */
static __always_inline u64 argument(struct pt_regs *regs, u32 n)
{
	return regs->user_regs.regs[n];
}
static __always_inline u64 instruction(struct pt_regs *regs)
{
	return regs->user_regs.pc;
}
static __always_inline u64 returned(struct pt_regs *regs)
{
	return regs->user_regs.regs[0];
}
/* The stack pointer may have moved before the probe, while the return address is in its register: of calls within one
 * another, only the inner is known. */
static __always_inline u64 call_mark(struct pt_regs *regs, bool entry)
{
	return 0;
}
static __always_inline long to_caller(struct pt_regs *regs)
{
	u64 ra = regs->user_regs.regs[30];

	regs->user_regs.pc = ra & ((1ULL << 48) - 1);
	return 0;
}
#define STACK_PADDING 0
#endif

/* Return addresses may carry a pointer authentication code above 48 bits on arm64. */
static __always_inline u64 plain_address(u64 addr)
{
#if defined(__TARGET_ARCH_arm64)
	return addr & ((1ULL << 48) - 1);
#else
	return addr;
#endif
}

static __always_inline long user_regs(struct task_struct *task, struct pt_regs *regs)
{
	void *at;

	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs))
		at = (void *)bpf_task_pt_regs(bpf_get_current_task_btf());
	else
		at = BPF_CORE_READ(task, stack) + config.thread_size - STACK_PADDING -
		     sizeof(*regs);
	return bpf_probe_read_kernel(regs, sizeof(*regs), at);
}
