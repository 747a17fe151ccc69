/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One frame by its rule. Rule.Step of pkg/unwind is the specification; the tests compare the two. */
#pragma once

enum rule_kind {
	KIND_NONE,
	KIND_END,
	KIND_REG,
	KIND_DEREF,
	KIND_PLT,
	KIND_SIGNAL,
	KIND_RA_REG,
	KIND_SWITCH,
	KIND_INDEXED,
};
enum { RA_DEFAULT, RA_PAIR, RA_ALONE, RA_SPLIT };
enum { FP_SAME, FP_SAVED, FP_LOST, FP_INDIRECT };
enum { BX_SAME = 0, BX_LOST = 7 };

/* The 8 bytes of a rule, as Rule.Encode lays them out. */
struct prof_rule {
	u8 kind_ra_fp;
	u8 reg_bx;
	s16 fp_off;
	s32 off;
};

static __always_inline bool is_signal(u64 rule)
{
	return (rule & 15) == KIND_SIGNAL;
}

/* Outcomes of a step. */
enum { STEP_OK, STEP_ROOT, STEP_NO_RULE, STEP_UNREADABLE };

#if defined(__TARGET_ARCH_x86)
#define DWARF_FP 6
#define DWARF_SP 7
#define DWARF_BX 3
#define DWARF_INDEX 9
#define SIGNAL_FIRST 40 /* struct ucontext: flags, link, stack; then struct sigcontext */
#define SIGNAL_WORDS 17 /* r8 to rsp, rip */
/* The place of each DWARF register in struct pt_regs. */
static const u8 reg_places[32] = { 10, 12, 11, 5, 13, 14, 4, 19, 9, 8, 7, 6, 3, 2, 1, 0 };
/* The place in struct pt_regs of each register in the order of struct sigcontext. */
static const u8 signal_places[32] = { 9, 8, 7, 6, 3, 2, 1, 0, 14, 13, 4, 5, 12, 10, 11, 19, 16 };
#else
#define DWARF_FP 29
#define DWARF_SP 31
#define DWARF_LR 30
#define DWARF_BX 32 /* there is none */
#define DWARF_INDEX 32
#define SIGNAL_FIRST \
	(128 + 176 + 8) /* struct rt_sigframe: siginfo; ucontext up to sigcontext; fault_address */
#define SIGNAL_WORDS 33 /* x0 to sp, pc */
static const u8 reg_places[32] = { 0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
				   16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31 };
#endif

/* The value of a register in this frame; false when it is not known. */
static __always_inline bool reg_value(struct prof_scratch *s, u32 reg, u64 *value)
{
	struct prof_state *w = &s->walk.now;

	if (reg == DWARF_SP) {
		*value = w->sp;
		return true;
	}
	if (reg == DWARF_FP) {
		*value = w->fp;
		return w->fp_known;
	}
	if (reg == DWARF_BX) {
		*value = w->bx;
		return w->bx_known;
	}
	/* The others have their values in leaf frames only. */
	*value = s->reg_words[reg_places[reg & 31] & 63];
	return w->exact;
}

/* Takes all registers from those of a task. */
static __always_inline void enter_regs(struct prof_scratch *s)
{
	struct prof_state *w = &s->walk.now;

	take_regs(w, &s->regs);
	w->ra_at = 0;
	w->exact = true;
	w->fp_known = true;
	w->bx_known = true;
}

/* The frame that the kernel pushed for a signal: all registers are in it, at sp. Global: it is rare. */
__noinline int signal_step(u32 context)
{
	struct prof_scratch *s = scratch(context);
	u64 *saved;

	if (!s)
		return STEP_UNREADABLE;
	saved = s->signal;
	if (bpf_probe_read_user(saved, SIGNAL_WORDS * 8, (void *)(s->walk.now.sp + SIGNAL_FIRST)))
		return STEP_UNREADABLE;
	for (int i = 0; i < SIGNAL_WORDS; i++)
#if defined(__TARGET_ARCH_x86)
		s->reg_words[signal_places[i] & 63] = saved[i];
#else
		s->reg_words[i] = saved[i];
#endif
	enter_regs(s);
	return STEP_OK;
}

/* Reads the window from lo on. Past the end of the stack less is to be had. Global, so that the verifier checks it once,
 * and its arguments are values: see scratch(). */
__noinline int move_window(u32 context, u64 lo)
{
	struct prof_scratch *s = scratch(context);

	if (!s)
		return 0;
	s->walk.window_at = lo;
	s->walk.window_words = WINDOW_WORDS;
	if (!bpf_probe_read_user(s->window, sizeof(s->window), (void *)lo))
		return 0;
	s->walk.window_words = BELOW_CFA;
	if (!bpf_probe_read_user(s->window, BELOW_CFA * 8, (void *)lo))
		return 0;
	s->walk.window_words = 0;
	return 0;
}

/* Makes the window hold the words from lo to below hi, if they can be read, with one read for several frames. */
static __always_inline void want_window(struct prof_scratch *s, u64 lo, u64 hi)
{
	u64 at = s->walk.window_at;

	if ((lo - at) & 7 || lo < at || hi > at + s->walk.window_words * 8)
		move_window(s->walk.context, lo);
}

/* A word of the user's memory: from the window, or by itself. */
static __always_inline bool stack_word(struct prof_scratch *s, u64 addr, u64 *value)
{
	u64 off = addr - s->walk.window_at;

	if (!(off & 7) && off < s->walk.window_words * 8) {
		off >>= 3;
		barrier_var(off); /* verifier: clang drops a mask that changes nothing */
		*value = s->window[off & (WINDOW_WORDS - 1)];
		return true;
	}
	return !bpf_probe_read_user(value, sizeof(*value), (void *)addr);
}

static __always_inline int find_cfa(struct prof_scratch *s, struct prof_rule *rule, u64 *cfa)
{
	u32 kind = rule->kind_ra_fp & 15, off = rule->off;
	u64 v, index;

	if (kind == KIND_PLT) {
		u8 mask = off >> 8, threshold = off >> 16, shift = off >> 24;

		*cfa = s->walk.now.sp + (u8)off;
		if (((u8)s->walk.now.ip & mask) >= threshold)
			*cfa += 1ULL << (shift & 7);
		return STEP_OK;
	}
	if (!reg_value(s, rule->reg_bx & 31, &v))
		return STEP_NO_RULE;
	if (kind == KIND_DEREF || kind == KIND_INDEXED) {
		if (kind == KIND_INDEXED) {
			if (!reg_value(s, DWARF_INDEX, &index))
				return STEP_NO_RULE;
			v += 8 * index;
		}
		if (bpf_probe_read_user(&v, sizeof(v), (void *)(v + (s64)(s16)off)))
			return STEP_UNREADABLE;
		*cfa = v + (s64)(s16)(off >> 16);
		return STEP_OK;
	}
	if ((rule->kind_ra_fp >> 4 & 3) == RA_SPLIT)
		*cfa = v + (u16)off;
	else
		*cfa = v + (s64)rule->off;
	return STEP_OK;
}

static __always_inline int return_address(struct prof_scratch *s, struct prof_rule *rule, u64 cfa,
					  u64 *ip)
{
	u32 ra = rule->kind_ra_fp >> 4 & 3;
	s64 off = -8;

	s->walk.now.ra_at = 0;
	if ((rule->kind_ra_fp & 15) == KIND_RA_REG)
		return reg_value(s, rule->fp_off & 31, ip) ? STEP_OK : STEP_NO_RULE;
#if defined(__TARGET_ARCH_arm64)
	if (ra == RA_DEFAULT)
		return reg_value(s, DWARF_LR, ip) ? STEP_OK : STEP_NO_RULE;
#endif
	if (ra == RA_PAIR)
		off = rule->fp_off + 8;
	else if (ra == RA_ALONE)
		off = rule->fp_off;
	else if (ra == RA_SPLIT)
		off = rule->off >> 16;
	s->walk.now.ra_at = cfa + off;
	return stack_word(s, cfa + off, ip) ? STEP_OK : STEP_UNREADABLE;
}

/* Frame pointer and rbx of the caller. One that cannot be had is missed only by a rule that needs it. */
static __always_inline void callers_regs(struct prof_scratch *s, struct prof_rule *rule, u64 cfa)
{
	struct prof_state *w = &s->walk.now;
	u32 fp = rule->kind_ra_fp >> 6;

	if (fp == FP_SAVED)
		w->fp_known = stack_word(s, cfa + rule->fp_off, &w->fp);
	else if (fp == FP_LOST)
		w->fp_known = false;
	else if (fp == FP_INDIRECT && w->fp_known)
		w->fp_known = stack_word(s, w->fp + rule->fp_off, &w->fp);
#if defined(__TARGET_ARCH_x86)
	u32 bx = rule->reg_bx >> 5;

	if (bx == BX_LOST)
		w->bx_known = false;
	else if (bx != BX_SAME)
		w->bx_known = stack_word(s, cfa - 8 * ((s64)bx + 1), &w->bx);
#endif
}

/* Goes to the caller by a rule. */
static __always_inline int cfi_step(struct prof_scratch *s, u64 encoded)
{
	struct prof_state *w = &s->walk.now;
	struct prof_rule rule;
	u64 cfa, ip;
	u32 kind;
	int step;

	*(u64 *)&rule = encoded;
	kind = rule.kind_ra_fp & 15;
	if (kind == KIND_END)
		return STEP_ROOT;
	if (kind == KIND_SIGNAL)
		return signal_step(s->walk.context);
	if (kind == KIND_NONE || kind > KIND_INDEXED)
		return STEP_NO_RULE;
	step = find_cfa(s, &rule, &cfa);
	if (step)
		return step;
	/* The stack grows downwards: a rule that does not go up is wrong here. */
	if (kind != KIND_SWITCH && (cfa < w->sp || (cfa == w->sp && !w->exact)))
		return STEP_NO_RULE;
	want_window(s, cfa - BELOW_CFA * 8, cfa);
	step = return_address(s, &rule, cfa, &ip);
	if (step)
		return step;
	callers_regs(s, &rule, cfa);
	w->sp = cfa;
	w->ip = plain_address(ip);
	w->exact = false;
	return STEP_OK;
}
