/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One sample for each overflow of a perf event: the clock, or any counter. */
#pragma once

/* The number of the event that this program is attached to. The loader makes a program of each event from cpu_event or
 * trace_event, and this call into a constant: cookies of perf events came with 5.15 (82e6b1eee6a8). */
#define event_number(ctx) ((u32)bpf_get_attach_cookie(ctx))

/* Puts the mappings behind the frames, and returns the size of the record. */
static __always_inline u64 finish_record(struct prof_scratch *s)
{
	u32 frames = s->sample.kernel_frames + s->sample.user_frames;
	u32 vma_bytes = s->sample.vmas * sizeof(struct prof_vma);
	u64 size;

	if (vma_bytes > PROF_VMAS * sizeof(struct prof_vma))
		vma_bytes = PROF_VMAS * sizeof(struct prof_vma);
	bpf_probe_read_kernel(&s->words[frames & (PROF_WORDS - 1)], vma_bytes, s->vmas);
	size = sizeof(s->sample) + frames * 8 + vma_bytes;
	if (size > sizeof(s->sample) + sizeof(s->words))
		size = sizeof(s->sample) + sizeof(s->words);
	return size;
}

static __always_inline u64 wakeup_flags(void)
{
	return bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) >= config.wakeup_bytes
		       ? BPF_RB_FORCE_WAKEUP
		       : BPF_RB_NO_WAKEUP;
}

static __always_inline void send(struct prof_scratch *s, struct prof_counters *c)
{
	u64 size = finish_record(s), flags = wakeup_flags();

	if (flags == BPF_RB_FORCE_WAKEUP)
		c->wakeups++;
	if (bpf_ringbuf_output(&ring, &s->sample, size, flags))
		c->lost_ring_full++;
	else
		c->samples++;
}

/* Takes a sample of what runs. regs are the interrupted registers; NULL: the kernel runs, for the task. */
static __always_inline void take_sample(void *ctx, bpf_user_pt_regs_t *regs, u32 event, u32 context,
					struct prof_counters *c, struct prof_scratch *s, u64 begin)
{
	u64 id = bpf_get_current_pid_tgid();
	struct task_struct *task = (void *)bpf_get_current_task();
	int verdict;
	long n;

	if (!(u32)id) {
		c->idle++;
		return;
	}
	s->sample.flags = 0;
	s->sample.event = event;
	s->sample.tag = 0;
	s->sample.tgid = id >> 32;
	s->sample.tid = id;
	if (config.namespaced) {
		s->sample.tgid = namespaced((u64)BPF_CORE_READ(task, group_leader, thread_pid));
		s->sample.tid = namespaced((u64)BPF_CORE_READ(task, thread_pid));
	}
	bpf_get_current_comm(s->sample.comm, sizeof(s->sample.comm));
	verdict = s->sample.tgid ? target_verdict(task, id >> 32, &s->sample) : VERDICT_NO;
	if (verdict == VERDICT_NO) {
		c->filtered++;
		goto out;
	}
	c->fired++;
	if (verdict == VERDICT_UNDECIDED) {
		c->undecided++;
		s->sample.flags |= PROF_FLAG_UNDECIDED;
	}
	s->sample.type = PROF_RECORD_SAMPLE;
	s->sample.cpu = bpf_get_smp_processor_id();
	s->sample.time_ns = begin;
	s->sample.start_ns = start_of(task);
	s->sample.user_frames = 0;
	s->sample.depth = 0;
	s->sample.vmas = 0;
	s->sample.kernel_frames = 0;
	if (!regs || !user_mode(regs)) {
		n = bpf_get_stack(ctx, s->words, PROF_KERNEL_FRAMES * 8, 0);
		if (n > 0)
			s->sample.kernel_frames = n / 8;
	}
	walk_user(s, context, task, regs);
	send(s, c);
out:
	c->run_ns += bpf_ktime_get_ns() - begin;
}

SEC("perf_event")
int cpu_event(struct bpf_perf_event_data *ctx)
{
	u64 begin = bpf_ktime_get_ns();
	u32 event = event_number(ctx);
	struct prof_counters *c = counter(event);
	struct prof_scratch *s = scratch(CONTEXT_PERF);
	struct bpf_perf_event_value value;

	if (!c || !s)
		return 0;
	c->events += ctx->sample_period;
	s->sample.weight = config.time_events >> (event & 31) & 1 ? 1 : ctx->sample_period;
	s->sample.enabled_ns = 0;
	s->sample.running_ns = 0;
	if (config.shared_events >> (event & 31) & 1 &&
	    !bpf_perf_prog_read_value(ctx, &value, sizeof(value))) {
		s->sample.enabled_ns = value.enabled;
		s->sample.running_ns = value.running;
	}
	take_sample(ctx, &ctx->regs, event, CONTEXT_PERF, c, s, begin);
	return 0;
}

/* One sample for so many hits of a tracepoint. The kernel runs no program of a perf event on top of this one, nor this one
 * on top of that: trace_call_bpf and bpf_overflow_handler count in the same bpf_prog_active. So they share a scratch. */
SEC("tracepoint")
int trace_event(void *ctx)
{
	u64 begin = bpf_ktime_get_ns();
	u32 event = event_number(ctx);
	struct prof_counters *c = counter(event);
	struct prof_scratch *s = scratch(CONTEXT_PERF);
	u64 period = config.periods[event & (PROF_EVENTS - 1)];

	if (!c || !s)
		return 0;
	c->events++;
	if (!period || c->events % period)
		return 0;
	s->sample.weight = period;
	s->sample.enabled_ns = 0;
	s->sample.running_ns = 0;
	take_sample(ctx, NULL, event, CONTEXT_PERF, c, s, begin);
	return 0;
}
