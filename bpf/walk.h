/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The user part of a stack, by frame pointers. */
#pragma once

#define PF_KTHREAD 0x00200000
#define MAX_FRAME_BYTES (64ULL << 20) /* a larger gap between two frames is no frame */
/* runtime/malloc.go: Go's stacks lie from 0xc0 << 32 on. Its chains cross from there to a thread's own stack and back. */
#define GO_ARENA_START 0xc000000000ULL
#define GO_ARENA_END 0xc800000000ULL

struct prof_frame {
	u64 fp, ip;
};

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
static __always_inline void take_regs(struct prof_walk *w, struct pt_regs *regs)
{
	w->ip = regs->ip;
	w->sp = regs->sp;
	w->fp = regs->bp;
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
static __always_inline void take_regs(struct prof_walk *w, struct pt_regs *regs)
{
	w->ip = regs->user_regs.pc;
	w->sp = regs->user_regs.sp;
	w->fp = regs->user_regs.regs[29];
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

static __always_inline bool plausible_fp(struct prof_walk *w)
{
	if (w->fp & 7)
		return false;
	if (w->fp >= w->sp && w->fp - w->sp <= MAX_FRAME_BYTES)
		return true;
	return (w->fp >= GO_ARENA_START && w->fp < GO_ARENA_END) ||
	       (w->sp >= GO_ARENA_START && w->sp < GO_ARENA_END && w->fp > w->sp);
}

static __always_inline int end_at(struct prof_scratch *s, u32 v)
{
	if (v < PROF_VMAS && s->vmas[v].offset >> 56 == PROF_VMA_ANON)
		return PROF_END_JIT;
	return PROF_END_NO_UNWIND_INFO;
}

/* One frame: enters the address in the record and finds its caller. Returns 0 to go on. Global, so that the verifier
 * checks the body once and not once per frame. */
__noinline int walk_step(void)
{
	struct prof_scratch *s = scratch();
	struct prof_frame frame;
	struct prof_walk *w;
	u32 last, at;
	int v;

	if (!s)
		return 1;
	w = &s->walk;
	last = w->last_vma;
	/* A return address may be the first byte after its function, so look at the call. */
	v = vma_of(w->ip - !!s->sample.user_frames);
	if (v < 0) {
		if (v == VMA_TABLE_FULL)
			s->sample.end = PROF_END_MAPPINGS;
		else /* the rule that gave this address was wrong */
			s->sample.end =
				s->sample.user_frames ? end_at(s, last) : PROF_END_NO_MAPPING;
		return 1;
	}
	at = s->sample.kernel_frames + s->sample.user_frames;
	s->words[at & (PROF_WORDS - 1)] = w->ip;
	s->sample.user_frames++;
	if (!w->fp) {
		s->sample.end = PROF_END_COMPLETE;
		return 1;
	}
	if (!plausible_fp(w)) {
		s->sample.end = end_at(s, v);
		return 1;
	}
	if (bpf_probe_read_user(&frame, sizeof(frame), (void *)w->fp)) {
		s->sample.end = PROF_END_UNREADABLE;
		return 1;
	}
	if (!frame.ip) {
		s->sample.end = PROF_END_COMPLETE;
		return 1;
	}
	w->sp = w->fp + sizeof(frame);
	w->fp = frame.fp;
	w->ip = plain_address(frame.ip);
	return 0;
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
	take_regs(&s->walk, regs);
	s->sample.end = PROF_END_TRUNCATED;
	for (int i = 0; i < PROF_USER_FRAMES / WALK_CHUNK; i++)
		if (walk_chunk())
			break;
}
