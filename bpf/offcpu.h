/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What threads wait for while they do not run: exact times (thread.h), and stacks sampled by duration.
 *
 * A wait of d is sampled with the probability 1 - exp(-d/R), as if samples came at random every R on average, and user space
 * weighs it with d over that: so the sum of the weights is, on average, the time. The user part of the stack is
 * walked when the woken thread goes on, in its own context (6.18). Before, it is walked when the wait begins, for waits
 * chosen with a probability that grows with the thread's waits so far, and user space weighs with d over that one. */
#pragma once

#define PF_USER_WORKER 0x00004000 /* and PF_IO_WORKER, 0x10: threads that never go to user mode */
#define PF_IO_WORKER 0x00000010
#define TASK_INTERRUPTIBLE 1
#define TASK_UNINTERRUPTIBLE 2
#define TASK_STOPPED_TRACED 12
#define TASK_DEAD 0x80

/* Quantiles of the time between two samples; the loader fills them in. */
#define GAP_STEPS 1024
#define GAP_FRACTION 22 /* bits left of a random number */
const volatile u64 gap_quantiles[GAP_STEPS + 1];

struct prof_gap {
	s64 left; /* ns of waiting until the next sample */
	u64 drawn;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, CONTEXTS);
	__type(key, u32);
	__type(value, struct prof_gap);
} gaps SEC(".maps");

/* A sample whose user part is walked when its thread goes on. */
struct prof_work {
	struct bpf_task_work work;
	u64 ns[2]; /* blocked, and waiting for a CPU; 0: not sampled */
	struct prof_sample sample;
	u64 kernel[PROF_KERNEL_FRAMES];
};

#define PROF_WORKS 1024
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct prof_work);
} works SEC(".maps");

extern int bpf_task_work_schedule_resume_impl(struct task_struct *task, struct bpf_task_work *tw,
					      void *map__map,
					      int (*callback)(struct bpf_map *map, void *key,
							      void *value),
					      void *aux__prog) __ksym __weak;
extern void bpf_preempt_disable(void) __ksym __weak;
extern void bpf_preempt_enable(void) __ksym __weak;

/* A time of an exponential distribution: between two quantiles in proportion, and beyond the last one more. */
static __always_inline u64 draw_gap(const volatile u64 *quantiles)
{
	u64 gap = 0, lo, hi;

	for (int i = 0; i < 2; i++) {
		u32 r = bpf_get_prandom_u32(), n = r >> GAP_FRACTION;

		barrier_var(n); /* verifier: clang drops a mask that changes nothing */
		n &= GAP_STEPS - 1;
		lo = quantiles[n];
		gap += lo;
		if (n == GAP_STEPS - 1)
			continue;
		hi = quantiles[n + 1];
		return gap + ((hi - lo) * (r & ((1U << GAP_FRACTION) - 1)) >> GAP_FRACTION);
	}
	return gap;
}

/* Whether a time is sampled. One count for all threads of a CPU serves: what is left of an exponential time is
 * distributed as a new one. */
static __always_inline bool sampled(struct prof_gap *g, u64 ns)
{
	g->left -= ns;
	if (g->left > 0)
		return false;
	g->left = draw_gap(gap_quantiles);
	return ns != 0;
}

/* Leaves of the parts of a wait those that are sampled, and reports whether there are any. */
static __always_inline bool choose(u32 context, u64 *blocked, u64 *queued)
{
	struct prof_gap *g = bpf_map_lookup_elem(&gaps, &context);

	if (!g)
		return false;
	if (!g->drawn) {
		g->drawn = 1;
		g->left = draw_gap(gap_quantiles);
	}
	/* Nearly always. */
	if (g->left > (s64)(*blocked + *queued)) {
		g->left -= *blocked + *queued;
		return false;
	}
	if (!sampled(g, *blocked))
		*blocked = 0;
	if (!sampled(g, *queued))
		*queued = 0;
	return *blocked || *queued;
}

static __always_inline u32 state_of(struct task_struct *task)
{
	if (bpf_core_field_exists(task->__state))
		return task->__state;
	return ((struct task_struct___v513 *)task)->state;
}

static __always_inline u32 doing_of(struct task_struct *task, u32 state)
{
	if (!state)
		return PROF_DOING_RUNQUEUE;
	if (state & TASK_STOPPED_TRACED)
		return PROF_DOING_STOPPED;
	if (state & TASK_UNINTERRUPTIBLE)
		return BPF_CORE_READ_BITFIELD(task, in_iowait) ? PROF_DOING_IO : PROF_DOING_BLOCKED;
	return PROF_DOING_SLEEP;
}

/* Begins a sample of a thread without frames. */
static __always_inline void begin_sample(struct prof_scratch *s, struct prof_thread *t,
					 struct task_struct *task)
{
	s->sample.type = PROF_RECORD_SAMPLE;
	s->sample.cpu = bpf_get_smp_processor_id();
	s->sample.time_ns = bpf_ktime_get_ns();
	s->sample.start_ns = start_of(task);
	s->sample.tgid = BPF_CORE_READ(task, tgid);
	s->sample.tid = BPF_CORE_READ(task, pid);
	if (config.namespaced) {
		s->sample.tgid = namespaced((u64)BPF_CORE_READ(task, group_leader, thread_pid));
		s->sample.tid = namespaced((u64)BPF_CORE_READ(task, thread_pid));
	}
	bpf_probe_read_kernel(s->sample.comm, sizeof(s->sample.comm), task->comm);
	s->sample.flags = 0;
	if (t->verdict == VERDICT_UNDECIDED) {
		s->sample.flags = PROF_FLAG_UNDECIDED | PROF_FLAG_ORIGIN;
		__builtin_memcpy(s->sample.origin, t->origin, PROF_COMM_LEN);
	}
	s->sample.event = config.offcpu_event;
	s->sample.tag = t->doing;
	s->sample.weight = 0;
	s->sample.enabled_ns = 0;
	s->sample.running_ns = 0;
	s->sample.kernel_frames = 0;
	s->sample.user_frames = 0;
	s->sample.depth = 0;
	s->sample.vmas = 0;
	s->sample.end = PROF_END_NO_USER;
}

/* Sends a stack once for each part of the wait that was sampled. */
static __always_inline void send_parts(struct prof_scratch *s, struct prof_counters *c, u64 blocked,
				       u64 queued)
{
	if (blocked) {
		s->sample.weight = blocked;
		send(s, c);
	}
	if (queued) {
		s->sample.tag = PROF_DOING_RUNQUEUE;
		s->sample.weight = queued;
		send(s, c);
	}
}

static __always_inline bool user_thread(struct task_struct *task)
{
	u32 flags = BPF_CORE_READ(task, flags);

	return !(flags & (PF_KTHREAD | PF_USER_WORKER | PF_IO_WORKER));
}

/* In the woken thread, on its way to user mode. No other walk of this context can come between: preemption is off. */
static int walk_woken(struct bpf_map *map, void *key, void *value)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct prof_counters *c;
	struct prof_work *w = value;
	struct prof_scratch *s;
	struct mm_struct *mm;
	u32 n;

	bpf_preempt_disable();
	s = scratch(CONTEXT_SCHED);
	c = counter(config.offcpu_event);
	if (s && c) {
		n = !!w->ns[0] + !!w->ns[1];
		c->returned += n;
		s->sample = w->sample;
		bpf_probe_read_kernel(s->words, sizeof(w->kernel), w->kernel);
		mm = user_part(s, task);
		if (mm) {
			if (user_regs(task, &s->regs))
				s->regs = (struct pt_regs){};
			walk_regs(s, CONTEXT_SCHED, task, mm);
		}
		send_parts(s, c, w->ns[0], w->ns[1]);
	}
	bpf_preempt_enable();
	bpf_map_delete_elem(&works, key);
	return 0;
}

/* Samples a wait that ends: next has not run yet, so that its kernel stack is that of the wait. */
static __always_inline void defer(struct prof_scratch *s, struct prof_counters *c,
				  struct prof_thread *t, struct task_struct *next, u64 blocked,
				  u64 queued)
{
	struct prof_work *w = (void *)s->words;
	u32 tid = next->pid, parts = !!blocked + !!queued;
	long n;

	begin_sample(s, t, next);
	c->fired += parts;
	if (t->verdict == VERDICT_UNDECIDED)
		c->undecided += parts;
	w->ns[0] = blocked;
	w->ns[1] = queued;
	if (config.wakers && blocked && t->chosen_ns) {
		s->sample.flags |= PROF_FLAG_WOKEN;
		s->sample.enabled_ns = t->woken_ns;
	}
	n = bpf_get_task_stack(next, w->kernel, sizeof(w->kernel), 0);
	if (n > 0)
		s->sample.kernel_frames = n / 8;
	if (user_thread(next)) {
		w->sample = s->sample;
		s->sample.end = PROF_END_DEFERRED;
		if (!bpf_map_update_elem(&works, &tid, w, BPF_NOEXIST)) {
			struct prof_work *entry = bpf_map_lookup_elem(&works, &tid);

			c->deferred += parts;
			if (entry && !bpf_task_work_schedule_resume_impl(next, &entry->work, &works,
									 walk_woken, NULL))
				return;
			c->deferred -= parts;
			bpf_map_delete_elem(&works, &tid);
		}
		c->refused += parts;
	}
	bpf_probe_read_kernel(s->words, sizeof(w->kernel), w->kernel);
	send_parts(s, c, blocked, queued);
}

#define PROBABILITY_ONE 65536
#define PROBABILITY_LEAST 256 /* of 65536: for threads that never waited for long */

/* Where a walk cannot be deferred: when a wait begins, sends its stack with some probability. */
static __always_inline void begin_wait(struct prof_scratch *s, struct prof_thread *t,
				       struct task_struct *prev)
{
	u64 p = t->mean_ns * PROBABILITY_ONE / config.offcpu_mean, size;
	struct mm_struct *mm;
	long n;

	if (p < PROBABILITY_LEAST)
		p = PROBABILITY_LEAST;
	if (p > PROBABILITY_ONE)
		p = PROBABILITY_ONE;
	t->begun = 0;
	if ((bpf_get_prandom_u32() & (PROBABILITY_ONE - 1)) >= p)
		return;
	t->probability = p;
	begin_sample(s, t, prev);
	s->sample.flags |= PROF_FLAG_BEGUN;
	n = bpf_get_task_stack(prev, s->words, PROF_KERNEL_FRAMES * 8, 0);
	if (n > 0)
		s->sample.kernel_frames = n / 8;
	mm = user_thread(prev) ? user_part(s, prev) : NULL;
	if (mm) {
		if (user_regs(prev, &s->regs))
			s->regs = (struct pt_regs){};
		walk_regs(s, CONTEXT_SCHED, prev, mm);
	}
	size = finish_record(s);
	t->begun = s->sample.time_ns;
	if (bpf_ringbuf_output(&ring, &s->sample, size, wakeup_flags()))
		t->begun = 1; /* lost: its end tells how much */
	t->walk_ns = bpf_ktime_get_ns() - s->sample.time_ns;
}

static __always_inline void end_wait(struct prof_counters *c, struct prof_thread *t,
				     struct task_struct *next, u64 blocked, u64 queued)
{
	struct prof_wait rec = { .type = PROF_RECORD_WAIT,
				 .tid = next->pid,
				 .time_ns = t->begun,
				 .probability = t->probability,
				 .doing = t->doing,
				 .waker_ns = config.wakers ? t->woken_ns : 0 };
	u32 parts;

	/* Who gives its CPU to others waits for them, and they began later by the walk: only waits that were chosen have
	 * that, so it must not stand for others. */
	if (t->doing == PROF_DOING_RUNQUEUE)
		queued = elapsed(t->walk_ns, queued);
	rec.ns[0] = blocked;
	rec.ns[1] = queued;
	parts = !!blocked + !!queued;
	if (!parts) {
		t->begun = 0;
		return;
	}
	c->fired += parts;
	if (t->verdict == VERDICT_UNDECIDED)
		c->undecided += parts;
	if (config.namespaced)
		rec.tid = namespaced((u64)BPF_CORE_READ(next, thread_pid));
	if (t->begun == 1 || bpf_ringbuf_output(&ring, &rec, sizeof(rec), wakeup_flags()))
		c->lost_ring_full += parts;
	else
		c->samples += parts;
	t->begun = 0;
}

/* prev gives its CPU away. */
static __always_inline void leave(struct prof_thread *t, struct task_struct *prev, u32 doing,
				  u64 now, bool deferring)
{
	int verdict = thread_verdict(CONTEXT_SCHED, t, prev, now);
	struct prof_scratch *s;

	if (verdict != VERDICT_NO && t->doing == PROF_DOING_RUN && t->since)
		t->times.ns[PROF_DOING_RUN] += elapsed(t->since, now);
	t->times.switches++;
	t->run_delay = run_delay(prev);
	if (config.wakers) {
		t->left_ns = bpf_ktime_get_ns();
		t->woken_ns = 0;
		t->chosen_ns = 0;
	}
	t->doing = doing;
	t->since = now;
	if (deferring || verdict == VERDICT_NO)
		return;
	s = scratch(CONTEXT_SCHED);
	if (s)
		begin_wait(s, t, prev);
}

/* The last time that prev gives its CPU away. */
static __always_inline void end_thread(struct prof_thread *t, struct task_struct *prev)
{
	u32 pid = prev->pid;

	t->ended = 1;
	if (t->verdict == VERDICT_YES)
		fold(t, prev);
	if (!config.task_storage)
		bpf_map_delete_elem(&thread_hash, &pid);
}

/* Whether the end of a wait is sampled. With wakers that was decided of the blocked part when it ended. */
static __always_inline bool choose_end(struct prof_thread *t, u64 *blocked, u64 *queued)
{
	u64 none = 0;

	if (!config.wakers || !t->woken_ns)
		return choose(CONTEXT_SCHED, blocked, queued);
	*blocked = t->chosen_ns;
	if (!choose(CONTEXT_SCHED, &none, queued))
		*queued = 0;
	return *blocked || *queued;
}

/* Samples what of a wait that ends was not sampled while it went on. */
static __always_inline void sample_end(struct prof_thread *t, struct task_struct *next, u64 blocked,
				       u64 queued, bool deferring)
{
	struct prof_counters *c;
	struct prof_scratch *s;

	if (deferring ? !choose_end(t, &blocked, &queued) : !t->begun)
		return;
	s = scratch(CONTEXT_SCHED);
	c = counter(config.offcpu_event);
	if (!s || !c)
		return;
	if (deferring)
		defer(s, c, t, next, blocked, queued);
	else
		end_wait(c, t, next, blocked, queued);
}

/* next gets a CPU. */
static __always_inline void arrive(struct prof_thread *t, struct task_struct *next, u64 now,
				   bool deferring)
{
	u64 since = t->since, total, queued, blocked, fresh;

	if (!since || t->doing == PROF_DOING_RUN || t->verdict == VERDICT_NO || !t->known)
		goto out;
	total = elapsed(since, now);
	queued = queued_ns(t, next, total, now);
	blocked = total - queued;
	if (t->doing < PROF_DOINGS)
		t->times.ns[t->doing] += blocked;
	t->times.ns[PROF_DOING_RUNQUEUE] += queued;
	if (queued)
		count_runqueue(&t->times, queued);
	if (t->flushed > since) {
		fresh = elapsed(t->flushed, now);
		if (queued > fresh)
			queued = fresh;
		blocked = fresh - queued;
	}
	if (!deferring)
		t->mean_ns = (t->mean_ns * 7 + total) / 8;
	sample_end(t, next, blocked, queued, deferring);
out:
	t->doing = PROF_DOING_RUN;
	t->since = now;
}

/* Kernel threads, and the idle ones, are left out. */
static __always_inline bool accounted(struct task_struct *task)
{
	return !(task->flags & PF_KTHREAD) && task->pid;
}

/* At every switch of the machine: what is needed rarely is looked up where it is needed. */
static __always_inline int on_switch(u64 *ctx, bool deferring)
{
	struct task_struct *prev = (void *)ctx[1], *next = (void *)ctx[2];
	struct prof_thread *t;
	u64 now = rq_clock(next);
	u32 state;

	if (accounted(prev)) {
		state = config.switch_state ? ctx[3] : state_of(prev);
		t = thread_of(prev, false);
		if (t)
			leave(t, prev, ctx[0] ? PROF_DOING_RUNQUEUE : doing_of(prev, state), now,
			      deferring);
		if (t && state & TASK_DEAD)
			end_thread(t, prev);
	}
	if (accounted(next)) {
		t = thread_of(next, false);
		if (t)
			arrive(t, next, now, deferring);
	}
	return 0;
}

/* Where walks can be deferred, since 6.18; or else. The loader takes one of the two. */
SEC("tp_btf/sched_switch")
int BPF_PROG(offcpu_defer)
{
	return on_switch(ctx, true);
}

SEC("tp_btf/sched_switch")
int BPF_PROG(offcpu_switch)
{
	return on_switch(ctx, false);
}

/* A thread begins. It has not run yet, and no lock of the scheduler is held: here its entry can be made. */
SEC("tp_btf/sched_process_fork")
int BPF_PROG(offcpu_fork, struct task_struct *parent, struct task_struct *child)
{
	struct prof_counters *c = counter(config.offcpu_event);
	u32 pid = child->pid;
	struct prof_thread *t;

	/* target_fork, attached before, has entered the child of a target. */
	if (child->flags & PF_KTHREAD || !may_be_target(child))
		return 0;
	/* The number's last thread may have left its entry: deleting fails while the map is in use. */
	if (!config.task_storage)
		bpf_map_delete_elem(&thread_hash, &pid);
	t = thread_of(child, true);
	if (!t) {
		if (c)
			__sync_fetch_and_add(&c->untracked, 1);
		return 0;
	}
	t->doing = PROF_DOING_RUNQUEUE;
	t->since = rq_clock(parent);
	return 0;
}
