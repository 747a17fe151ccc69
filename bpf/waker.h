/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who ends the waits that are sampled: the stack of what runs where a thread is woken. On request, as every wake-up of
 * the machine comes here. */
#pragma once

/* Sends the stack of what runs, for the sample of the thread that it wakes. */
static __always_inline void send_waker(void *ctx, struct prof_thread *t, struct task_struct *woken,
				       u64 now)
{
	struct task_struct *waker = (void *)bpf_get_current_task();
	struct prof_counters *c = counter(config.offcpu_event);
	struct prof_scratch *s = scratch(CONTEXT_WAKE);
	long n;

	if (!s || !c)
		return;
	begin_sample(s, t, waker);
	s->sample.type = PROF_RECORD_WAKER;
	s->sample.time_ns = now;
	s->sample.weight =
		config.namespaced ? namespaced((u64)BPF_CORE_READ(woken, thread_pid)) : woken->pid;
	n = bpf_get_stack(ctx, s->words, PROF_KERNEL_FRAMES * 8, 0);
	if (n > 0)
		s->sample.kernel_frames = n / 8;
	/* In an interrupt these are of what was interrupted: user space tells by the kernel's functions. */
	walk_user(s, CONTEXT_WAKE, waker, NULL);
	if (bpf_ringbuf_output(&ring, &s->sample, finish_record(s), wakeup_flags()))
		c->lost_wakers++;
}

/* In the waker's context, with the lock of the woken thread's state held. */
SEC("tp_btf/sched_waking")
int BPF_PROG(offcpu_wake, struct task_struct *woken)
{
	struct prof_thread *t;
	u64 now, ns, none = 0;

	if (!accounted(woken))
		return 0;
	t = thread_of(woken, false);
	/* A thread that is woken before it has given its CPU away does not wait. */
	if (!t || !t->known || t->verdict == VERDICT_NO || t->woken_ns ||
	    t->doing == PROF_DOING_RUN || t->doing == PROF_DOING_RUNQUEUE)
		return 0;
	if (config.wakers == PROF_WAKERS_FOLLOW && t->begun <= 1)
		return 0;
	now = bpf_ktime_get_ns();
	if (config.wakers == PROF_WAKERS_CHOOSE) {
		if (!t->left_ns) /* taken up asleep, and not visited since: its end is decided at its end */
			return 0;
		ns = elapsed(t->left_ns, now);
		t->chosen_ns = choose(CONTEXT_WAKE, &ns, &none) ? ns : 0;
		if (!t->chosen_ns) {
			t->woken_ns = now;
			return 0;
		}
	}
	send_waker(ctx, t, woken, now);
	t->woken_ns = now;
	return 0;
}
