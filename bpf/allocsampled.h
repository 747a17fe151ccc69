/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Allocations that a process has sampled itself: the probe otel_memory:alloc(pointer, size, weight) of OpenTelemetry's
 * design 00003, which our own helper has too. Each hit is a sample of the event alloc. */
#pragma once

/* What such a process says; false: nothing that can be. The weight of our helper is not looked at: the size tells more. */
static __always_inline bool told_alloc(struct prof_scratch *s, u32 cookie)
{
	u64 size = s->reg_words[cookie & PROF_SAMPLED_REGISTER];
	u64 weight = s->reg_words[cookie >> PROF_SAMPLED_WEIGHT_SHIFT & PROF_SAMPLED_REGISTER];

	if (!size || size >= ALLOC_MAX_BYTES || weight >= ALLOC_MAX_BYTES)
		return false;
	s->sample.weight = size;
	s->sample.enabled_ns = 0;
	s->sample.running_ns = 0;
	if (cookie & PROF_SAMPLED_WEIGHED) {
		s->sample.weight = weight;
		s->sample.enabled_ns = size;
	}
	return true;
}

static __always_inline void take_told(struct pt_regs *ctx, struct prof_alloc *a, u32 cookie)
{
	struct prof_counters *c = counter(config.alloc_event);
	struct prof_scratch *s = scratch(config.alloc_context);
	u64 begin = bpf_ktime_get_ns();

	if (!c || !s)
		return;
	bpf_probe_read_kernel(&s->regs, sizeof(s->regs), ctx);
	if (!told_alloc(s, cookie)) {
		c->refused++;
		return;
	}
	s->walk.at_site = true;
	take_sample(ctx, (bpf_user_pt_regs_t *)&s->regs, config.alloc_event, config.alloc_context,
		    c, s, begin);
	s->walk.at_site = false;
	a->walked_ns += bpf_ktime_get_ns() - begin;
}

static __always_inline int on_sampled(struct pt_regs *ctx)
{
	u32 zero = 0, cookie = bpf_get_attach_cookie(ctx);
	struct prof_alloc *a = bpf_map_lookup_elem(&allocs, &zero);
	struct prof_counters *c;

	if (!a)
		return 0;
	if (cookie & PROF_SAMPLED_STEPPED)
		a->stepped++;
	else
		a->hits++;
	if (config.alloc_alone) {
		bpf_preempt_disable();
		take_told(ctx, a, cookie);
		bpf_preempt_enable();
		return 0;
	}
	/* Another thread may come between on this CPU and find the scratch taken. */
	if (a->owner) {
		c = counter(config.alloc_event);
		if (c) {
			c->fired++;
			c->lost_busy++;
		}
		return 0;
	}
	a->owner = bpf_get_current_pid_tgid();
	take_told(ctx, a, cookie);
	a->owner = 0;
	return 0;
}

/* One of the two, as in alloc.h. */
SEC("uprobe.multi")
int sampled_multi(struct pt_regs *ctx)
{
	return on_sampled(ctx);
}

SEC("uprobe")
int sampled_probe(struct pt_regs *ctx)
{
	return on_sampled(ctx);
}
