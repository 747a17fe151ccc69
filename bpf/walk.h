/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The user part of a stack: by rules, and by frame pointers where there are none. */
#pragma once

#define PF_KTHREAD 0x00200000
#define MAX_FRAME_BYTES (64ULL << 20) /* a larger gap between two frames is no frame */

struct prof_frame {
	u64 fp, ip;
};

/* Frames go up the stack. Chains that cross to another stack, as Go's do, have rules (KIND_SWITCH). */
static __always_inline bool plausible_fp(struct prof_state *w)
{
	return !(w->fp & 7) && w->fp >= w->sp && w->fp - w->sp <= MAX_FRAME_BYTES;
}

/* Goes to the caller by the frame pointer, in code without a rule. */
static __always_inline int fp_step(struct prof_scratch *s)
{
	struct prof_state *w = &s->walk.now;
	struct prof_frame frame;

	if (!w->fp_known)
		return STEP_NO_RULE;
	if (!w->fp)
		return STEP_ROOT;
	if (!plausible_fp(w))
		return STEP_NO_RULE;
	want_window(s, w->fp, w->fp + sizeof(frame));
	if (!stack_word(s, w->fp, &frame.fp) || !stack_word(s, w->fp + 8, &frame.ip))
		return STEP_UNREADABLE;
	w->ra_at = w->fp + 8;
	w->sp = w->fp + sizeof(frame);
	w->fp = frame.fp;
	w->ip = plain_address(frame.ip);
	w->exact = false;
	w->bx_known = false;
	s->sample.flags |= PROF_FLAG_GUESSED;
	return STEP_OK;
}

#if defined(__TARGET_ARCH_x86)
/* Whether the eight bytes of code before a return address end in a call: E8 and FF /2 (Intel SDM, CALL). */
static __always_inline bool ends_in_call(const u8 *b)
{
	if (b[3] == 0xe8)
		return true;
	return (b[6] == 0xff &&
		((b[7] & 0xf8) == 0xd0 || (b[7] & 0xf8) == 0x10)) || /* register, [reg] */
	       (b[5] == 0xff &&
		((b[6] & 0xf8) == 0x50 || b[6] == 0x14)) || /* [reg+8 bits], [index] */
	       (b[4] == 0xff && b[5] == 0x54) || /* [index+8 bits] */
	       (b[2] == 0xff &&
		((b[3] & 0xf8) == 0x90 || b[3] == 0x15)) || /* [reg+32 bits], [rip] */
	       (b[1] == 0xff && b[2] == 0x94); /* [index+32 bits] */
}

#define LEAF_BYTES 4096 /* a function written in assembly is shorter */

/* Whether a call before ra goes to the function of pc, as far as that can be told: straight, or through a PLT. */
static __always_inline bool calls_here(const u8 *code, u64 ra, u64 pc)
{
	u64 to, slot;
	s32 rel;
	u8 stub[12];

	if (code[3] != 0xe8)
		return false;
	__builtin_memcpy(&rel, code + 4, sizeof(rel));
	to = ra + rel;
	if (pc - to < LEAF_BYTES)
		return true;
	/* jmp *rel(%rip), with or without endbr64 before it */
	if (bpf_probe_read_user(stub, sizeof(stub), (void *)to))
		return false;
	if (stub[0] == 0xff && stub[1] == 0x25) {
		__builtin_memcpy(&rel, stub + 2, sizeof(rel));
		slot = to + 6 + rel;
	} else if (stub[0] == 0xf3 && stub[4] == 0xff && stub[5] == 0x25) {
		__builtin_memcpy(&rel, stub + 6, sizeof(rel));
		slot = to + 10 + rel;
	} else {
		return false;
	}
	return !bpf_probe_read_user(&to, sizeof(to), (void *)slot) && pc - to < LEAF_BYTES;
}

/* In code of a file without a rule that has set up no frame, such as a leaf in assembly, the return address is on top of
 * the stack, and a frame pointer is the caller's: going by that would miss the caller. A word that only looks like a
 * return address is taken (any) where the frame pointer leads nowhere. */
__noinline int leaf_step(u32 context, u32 n, bool any)
{
	struct prof_scratch *s = scratch(context);
	struct prof_state *w;
	struct prof_space *sp;
	struct prof_place *p;
	u8 code[8];
	u64 ra;

	sp = s ? space(s) : NULL;
	if (!sp)
		return STEP_NO_RULE;
	w = &s->walk.now;
	p = &sp->places[n & (PROF_VMAS - 1)];
	if (!w->exact || p->vma.offset >> 56 != PROF_VMA_FILE)
		return STEP_NO_RULE;
	if (bpf_probe_read_user(&ra, sizeof(ra), (void *)w->sp) || !within(p, ra - sizeof(code)) ||
	    !within(p, ra) || bpf_probe_read_user(code, sizeof(code), (void *)(ra - sizeof(code))))
		return STEP_NO_RULE;
	if (!(any ? ends_in_call(code) : calls_here(code, ra, w->ip)))
		return STEP_NO_RULE;
	w->ra_at = w->sp;
	w->sp += sizeof(ra);
	w->ip = ra;
	w->exact = false;
	s->sample.flags |= PROF_FLAG_GUESSED;
	return STEP_OK;
}
#else
/* The link register tells as much only before the first call of a function, and not whether that was. */
static __always_inline int leaf_step(u32 context, u32 n, bool any)
{
	return STEP_NO_RULE;
}
#endif

/* Goes to the caller without a rule. */
static __always_inline int guess_step(struct prof_scratch *s, u32 n)
{
	int step;

	if (leaf_step(s->walk.context, n, false) == STEP_OK)
		return STEP_OK;
	step = fp_step(s); /* changes nothing unless it is OK */
	if ((step == STEP_NO_RULE || step == STEP_ROOT) &&
	    leaf_step(s->walk.context, n, true) == STEP_OK)
		return STEP_OK;
	return step;
}

/* Where the next frame is entered: after PROF_HALF frames, the later ones replace each other in turn. */
static __always_inline u32 frame_place(struct prof_sample *sample)
{
	u32 n = sample->depth;

	if (n >= PROF_USER_FRAMES)
		n = PROF_HALF + (n & (PROF_HALF - 1));
	return sample->kernel_frames + n;
}

static __always_inline int end_in(struct prof_place *p)
{
	return p->vma.offset >> 56 == PROF_VMA_ANON ? PROF_END_JIT : PROF_END_NO_UNWIND_INFO;
}

/* In execve the old program's memory is gone, and the registers are not yet the new one's. */
static __always_inline bool in_exec(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	return BPF_CORE_READ_BITFIELD_PROBED(task, in_execve);
}

/* The end of a stack whose next address is in no executable mapping. */
static __always_inline int end_outside(struct prof_scratch *s, struct prof_space *sp, int v)
{
	u32 last = s->walk.last;

	if (v == VMA_TABLE_FULL)
		return PROF_END_MAPPINGS;
	if (!s->sample.depth)
		return in_exec() ? PROF_END_NO_USER : PROF_END_NO_MAPPING;
	if (!s->walk.now.ip) /* ends the stacks of some runtimes */
		return PROF_END_COMPLETE;
	/* The rule that gave this address was wrong. */
	return end_in(&sp->places[last & (PROF_VMAS - 1)]);
}

/* One frame: enters the address in the record and finds its caller. Returns 0 to go on. Global, so that the verifier
 * checks the body once and not once per frame. What frames usually need is inline here, the rest in functions. */
__noinline int walk_step(u32 context)
{
	struct prof_scratch *s = scratch(context);
	u64 pc, at, rule = RULE_NONE;
	struct prof_cached *cached;
	struct prof_cache *cache;
	struct prof_space *sp;
	struct prof_place *p;
	u32 n;
	int step, v;

	sp = s ? space(s) : NULL;
	cache = cache_of(context);
	if (!sp || !cache)
		return 1;
	/* A return address may be the first byte after its function, so look at the call. */
	pc = s->walk.now.ip - !s->walk.now.exact;
	n = s->walk.last;
	if (n >= PROF_VMAS || !within(&sp->places[n & (PROF_VMAS - 1)], pc)) {
		v = s->walk.now.ip ? find_place(context, pc) : VMA_NONE;
		if (v < 0) {
			s->sample.end = end_outside(s, sp, v);
			return 1;
		}
		n = v;
	}
	barrier_var(n); /* verifier: clang drops a mask that changes nothing */
	p = &sp->places[n & (PROF_VMAS - 1)];
	at = (pc - p->vma.start + p->vma.offset) & ((1ULL << 56) - 1);
	if (p->row_blocks && at < PROF_NO_ROW) {
		cached = cached_rule(cache, rule_key(p, at));
		rule = cached->key == rule_key(p, at) ? cached->rule : search_rule(context, n, at);
	}
	/* A signal handler returns to the first byte of the restorer: nothing called it. */
	if (is_signal(rule))
		pc = s->walk.now.ip;
	s->words[frame_place(&s->sample) & (PROF_WORDS - 1)] = pc;
	s->sample.depth++;
	step = rule ? cfi_step(s, rule) : STEP_NO_RULE;
	if (step == STEP_ROOT)
		s->sample.flags |= PROF_FLAG_CERTAIN;
	else if (step == STEP_NO_RULE)
		step = guess_step(s, n);
	if (step == STEP_OK)
		return 0;
	if (step == STEP_ROOT)
		s->sample.end = PROF_END_COMPLETE;
	else if (step == STEP_UNREADABLE)
		s->sample.end = PROF_END_UNREADABLE;
	else
		s->sample.end = end_in(p);
	return 1;
}

/* Up to WALK_CHUNK frames. A loop over a global function still costs the verifier each of its turns, so there are two. */
#define WALK_CHUNK 32
#define CHUNKS_PER_MARK (PROF_USER_FRAMES / WALK_CHUNK)
__noinline int walk_chunk(u32 context)
{
	for (int i = 0; i < WALK_CHUNK; i++)
		if (walk_step(context))
			return 1;
	return 0;
}

static __always_inline void walk_frames(struct prof_scratch *s, u32 context)
{
	int i;

	s->sample.end = PROF_END_TRUNCATED;
	forget_marks(s);
	for (i = 0; i < PROF_MAX_DEPTH / WALK_CHUNK; i++) {
		if (walk_chunk(context))
			break;
		if (i == CHUNKS_PER_MARK - 1) {
			if (resume_deep(context))
				goto out;
		} else if (i % CHUNKS_PER_MARK == CHUNKS_PER_MARK - 1) {
			mark(s);
		}
	}
	if (i >= CHUNKS_PER_MARK)
		keep_deep(context);
out:
	s->sample.user_frames =
		s->sample.depth < PROF_USER_FRAMES ? s->sample.depth : PROF_USER_FRAMES;
}

/* Whether the task has a user part that can be walked; if not, the sample says why. */
static __always_inline struct mm_struct *user_part(struct prof_scratch *s, struct task_struct *task)
{
	struct mm_struct *mm;

	if (BPF_CORE_READ(task, flags) & PF_KTHREAD) {
		s->sample.end = PROF_END_NO_USER;
		return NULL;
	}
	mm = BPF_CORE_READ(task, mm);
	if (!mm)
		s->sample.end = PROF_END_EXITED;
	return mm;
}

/* Walks from the registers in the scratch. */
static __always_inline void walk_regs(struct prof_scratch *s, u32 context, struct task_struct *task,
				      struct mm_struct *mm)
{
	if (is_compat(&s->regs)) {
		s->sample.end = PROF_END_COMPAT;
		return;
	}
	s->walk.context = context;
	if (!enter_space(s, task, mm))
		return;
	s->walk.window_words = 0;
	enter_regs(s);
	/* A walk from a probe of an allocator begins at the caller: its address is that after the call. */
	if (config.alloc_context && context == config.alloc_context && !s->walk.at_site)
		s->walk.now.exact = false;
	walk_frames(s, context);
}

/* Walks the current task, which now runs with these registers; NULL: in the kernel. */
static __always_inline void walk_user(struct prof_scratch *s, u32 context, struct task_struct *task,
				      bpf_user_pt_regs_t *now)
{
	struct pt_regs *regs = &s->regs;
	struct mm_struct *mm = user_part(s, task);

	if (!mm)
		return;
	if (now && user_mode(now))
		__builtin_memcpy(regs, now, sizeof(*regs));
	else if (user_regs(task, regs))
		*regs = (struct pt_regs){};
	walk_regs(s, context, task, mm);
}
