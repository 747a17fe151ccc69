/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The user part of a stack: by rules, and by frame pointers where there are none. */
#pragma once

#define PF_KTHREAD 0x00200000
#define MAX_FRAME_BYTES (64ULL << 20) /* a larger gap between two frames is no frame */

struct prof_frame {
	u64 fp, ip;
};

/* Frames go up the stack. Chains that cross to another stack, as Go's do, have rules (KIND_SWITCH). */
static __always_inline bool plausible_fp(struct prof_walk *w)
{
	return !(w->fp & 7) && w->fp >= w->sp && w->fp - w->sp <= MAX_FRAME_BYTES;
}

static __always_inline int end_at(struct prof_scratch *s, u32 v)
{
	if (v < PROF_VMAS && s->vmas[v].offset >> 56 == PROF_VMA_ANON)
		return PROF_END_JIT;
	return PROF_END_NO_UNWIND_INFO;
}

/* Goes to the caller by the frame pointer, in code without a rule. */
static __always_inline int fp_step(struct prof_scratch *s)
{
	struct prof_walk *w = &s->walk;
	struct prof_frame frame;

	if (!w->fp_known)
		return STEP_NO_RULE;
	if (!w->fp)
		return STEP_ROOT;
	if (!plausible_fp(w))
		return STEP_NO_RULE;
	if (bpf_probe_read_user(&frame, sizeof(frame), (void *)w->fp))
		return STEP_UNREADABLE;
	w->sp = w->fp + sizeof(frame);
	w->fp = frame.fp;
	w->ip = plain_address(frame.ip);
	w->exact = false;
	w->bx_known = false;
	s->sample.flags |= PROF_FLAG_GUESSED;
	return STEP_OK;
}

/* Where the next frame is entered: after PROF_HALF frames, the later ones replace each other in turn. */
static __always_inline u32 frame_place(struct prof_sample *sample)
{
	u32 n = sample->depth;

	if (n >= PROF_USER_FRAMES)
		n = PROF_HALF + (n & (PROF_HALF - 1));
	return sample->kernel_frames + n;
}

/* One frame: enters the address in the record and finds its caller. Returns 0 to go on. Global, so that the verifier
 * checks the body once and not once per frame. */
__noinline int walk_step(void)
{
	struct prof_scratch *s = scratch();
	struct prof_walk *w;
	u32 last, n;
	u64 pc, at;
	int v, step;

	if (!s)
		return 1;
	w = &s->walk;
	last = w->last_vma;
	/* A return address may be the first byte after its function, so look at the call. */
	pc = w->ip - !w->exact;
	v = w->ip ? vma_of(pc) : VMA_NONE;
	if (v < 0) {
		if (v == VMA_TABLE_FULL)
			s->sample.end = PROF_END_MAPPINGS;
		else if (!s->sample.depth)
			s->sample.end = PROF_END_NO_MAPPING;
		else /* 0 ends the stacks of some runtimes; else the rule that gave this address was wrong */
			s->sample.end = w->ip ? end_at(s, last) : PROF_END_COMPLETE;
		return 1;
	}
	n = v;
	barrier_var(n);
	n &= PROF_VMAS - 1;
	at = pc - s->vmas[n].start + s->vmas[n].offset;
	w->rule = rule_of(n, at & ((1ULL << 56) - 1));
	/* A signal handler returns to the first byte of the restorer: nothing called it. */
	if (is_signal(w->rule))
		pc = w->ip;
	s->words[frame_place(&s->sample) & (PROF_WORDS - 1)] = pc;
	s->sample.depth++;
	step = w->rule ? cfi_step() : STEP_NO_RULE;
	if (step == STEP_ROOT)
		s->sample.flags |= PROF_FLAG_CERTAIN;
	else if (step == STEP_NO_RULE)
		step = fp_step(s);
	if (step == STEP_OK)
		return 0;
	if (step == STEP_ROOT)
		s->sample.end = PROF_END_COMPLETE;
	else if (step == STEP_UNREADABLE)
		s->sample.end = PROF_END_UNREADABLE;
	else
		s->sample.end = end_at(s, v);
	return 1;
}

/* Up to WALK_CHUNK frames. A loop over a global function still costs the verifier each of its turns, so there are two. */
#define WALK_CHUNK 32
__noinline int walk_chunk(void)
{
	for (int i = 0; i < WALK_CHUNK; i++)
		if (walk_step())
			return 1;
	return 0;
}

static __always_inline void walk_user(struct prof_scratch *s, struct task_struct *task,
				      bpf_user_pt_regs_t *now)
{
	struct pt_regs *regs = &s->regs;
	struct mm_struct *mm;

	if (BPF_CORE_READ(task, flags) & PF_KTHREAD) {
		s->sample.end = PROF_END_KERNEL_THREAD;
		return;
	}
	mm = BPF_CORE_READ(task, mm);
	if (!mm) {
		s->sample.end = PROF_END_EXITED;
		return;
	}
	if (user_mode(now))
		__builtin_memcpy(regs, now, sizeof(*regs));
	else if (user_regs(task, regs))
		*regs = (struct pt_regs){};
	if (is_compat(regs)) {
		s->sample.end = PROF_END_COMPAT;
		return;
	}
	s->walk.mm = mm;
	s->walk.vdso = (u64)BPF_CORE_READ(mm, context.vdso);
	s->walk.last_vma = PROF_VMAS;
	enter_regs(s);
	s->sample.end = PROF_END_TRUNCATED;
	for (int i = 0; i < PROF_MAX_DEPTH / WALK_CHUNK; i++)
		if (walk_chunk())
			break;
	s->sample.user_frames =
		s->sample.depth < PROF_USER_FRAMES ? s->sample.depth : PROF_USER_FRAMES;
}
