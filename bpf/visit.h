/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A look at every thread: its times so far, and, when asked, samples of waits that have not ended. */
#pragma once

/* Set by user space before it reads the iterator. */
volatile u32 visit_samples;

extern struct task_struct *bpf_task_from_pid(s32 pid) __ksym __weak;
extern void bpf_task_release(struct task_struct *task) __ksym __weak;

/* Reads the memory of the sleeping thread that is walked. The loader puts a call of it where the walker, in this program
 * alone, would call bpf_probe_read_user, which reads the current thread's. */
static __noinline long read_asleep(void *dst, u32 size, u64 addr)
{
	struct prof_scratch *s = scratch(CONTEXT_VISIT);
	struct task_struct *task;
	long err;

	if (!s || !config.walk_asleep)
		return -1;
	task = bpf_task_from_pid(s->walk.asleep);
	if (!task)
		return -1;
	err = bpf_copy_from_user_task(dst, size, (void *)addr, task, 0);
	bpf_task_release(task);
	return err;
}

/* Takes up a thread that began before we did. */
static __always_inline void take_up(struct prof_thread *t, struct task_struct *task, u64 now)
{
	u32 state = state_of(task), doing;
	u64 delay = run_delay(task);

	/* Both were int until 7.x, where they are bytes: this reads what is there. */
	if (BPF_CORE_READ_BITFIELD(task, on_cpu))
		doing = PROF_DOING_RUN;
	else if (BPF_CORE_READ_BITFIELD(task, on_rq))
		doing = PROF_DOING_RUNQUEUE;
	else
		doing = doing_of(task, state);
	/* Its first switch may be seen just now, and knows better. */
	barrier();
	if (t->since)
		return;
	t->doing = doing;
	t->run_delay = delay;
	t->since = now;
}

/* Times of a thread as of now, what it does at present included. */
static __always_inline void write_row(struct seq_file *seq, struct prof_scratch *s,
				      struct prof_thread *t, struct task_struct *task, u64 now)
{
	struct prof_thread_row *row = (void *)s->words;
	u64 total, queued, since = t->since;
	u32 doing = t->doing;

	row->start_ns = start_of(task);
	row->tgid = task->tgid;
	row->tid = task->pid;
	if (config.namespaced) {
		row->tgid = namespaced((u64)BPF_CORE_READ(task, group_leader, thread_pid));
		row->tid = namespaced((u64)BPF_CORE_READ(task, thread_pid));
	}
	bpf_probe_read_kernel(row->comm, sizeof(row->comm), task->comm);
	__builtin_memcpy(row->origin, t->origin, sizeof(row->origin));
	row->undecided = t->verdict == VERDICT_UNDECIDED;
	row->doing = doing;
	row->times = t->times;
	total = elapsed(since, now);
	queued = doing == PROF_DOING_RUN ? 0 : queued_ns(t, task, total, now);
	/* Between two reads it may have gone on: then its entry tells already. */
	barrier();
	if (t->since == since && doing < PROF_DOINGS) {
		row->times.ns[doing] += total - queued;
		row->times.ns[PROF_DOING_RUNQUEUE] += queued;
	}
	bpf_seq_write(seq, row, sizeof(*row));
}

/* Samples what of a wait has passed and was not sampled yet. */
static __always_inline void sample_wait(struct prof_scratch *s, struct prof_thread *t,
					struct task_struct *task, u64 now)
{
	u64 since = t->since, from = since, total, queued, blocked;
	u32 last = PROF_EVENTS;
	struct prof_counters *c = counter(last);
	struct pt_regs *regs;
	struct mm_struct *mm;
	u32 parts;
	long n;

	if (!c || t->doing == PROF_DOING_RUN)
		return;
	if (t->flushed > from)
		from = t->flushed;
	total = elapsed(from, now);
	queued = queued_ns(t, task, elapsed(since, now), now);
	if (queued > total)
		queued = total;
	blocked = total - queued;
	/* First noted, then looked again: who goes on meanwhile samples either all of it or what comes after now. */
	t->flushed = now;
	barrier();
	if (t->since != since)
		return;
	if (config.wakers) {
		t->left_ns = bpf_ktime_get_ns();
		if (t->woken_ns)
			blocked = 0; /* that part has ended, and is decided */
	}
	if (!choose(CONTEXT_VISIT, &blocked, &queued))
		return;
	parts = !!blocked + !!queued;
	begin_sample(s, t, task);
	s->sample.flags |= PROF_FLAG_WAITING;
	c->fired += parts;
	if (t->verdict == VERDICT_UNDECIDED)
		c->undecided += parts;
	n = bpf_get_task_stack(task, s->words, PROF_KERNEL_FRAMES * 8, 0);
	if (n > 0)
		s->sample.kernel_frames = n / 8;
	mm = user_thread(task) ? user_part(s, task) : NULL;
	/* Never: it links the function, see there, with arguments and a result that clang cannot know. */
	if (config.walk_asleep > 1)
		s->walk.entry = read_asleep(s->window, s->walk.window_words, s->walk.window_at);
	if (mm && !config.walk_asleep) {
		s->sample.end = PROF_END_ASLEEP;
	} else if (mm) {
		s->walk.asleep = task->pid;
		regs = (void *)bpf_task_pt_regs(task);
		if (bpf_probe_read_kernel(&s->regs, sizeof(s->regs), regs))
			s->regs = (struct pt_regs){};
		walk_regs(s, CONTEXT_VISIT, task, mm);
	}
	if (t->since != since)
		c->lost_woken += parts;
	else
		send_parts(s, c, blocked, queued);
}

SEC("iter.s/task")
int offcpu_visit(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task, *self = (void *)bpf_get_current_task();
	struct seq_file *seq = ctx->meta->seq;
	struct prof_scratch *s = scratch(CONTEXT_VISIT);
	struct prof_thread *t;
	u64 now;

	if (!task || !s || task->flags & PF_KTHREAD || !may_be_target(task))
		return 0;
	now = bpf_core_field_exists(task->se.cfs_rq) ? BPF_CORE_READ(self, se.cfs_rq, rq, clock)
						     : bpf_ktime_get_ns();
	t = thread_of(task, !task->exit_state);
	if (!t || t->ended) /* a zombie */
		return 0;
	if (!t->since)
		take_up(t, task, now);
	if (thread_verdict(CONTEXT_VISIT, t, task, now) == VERDICT_NO)
		return 0;
	if (visit_samples)
		sample_wait(s, t, task, now);
	write_row(seq, s, t, task, now);
	return 0;
}
