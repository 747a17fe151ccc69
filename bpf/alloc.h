/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Allocations, sampled by bytes: a uprobe on each function of an allocator, near its entry, where the arguments are still
 * in their registers.
 *
 * Samples come at random, one for each alloc_mean bytes on average, so that an allocation of S is sampled with the
 * probability 1 - exp(-S/mean), and user space weighs it with one over that. Which thread allocates does not matter: what is
 * left of an exponential distance is distributed as a new one, so one count for each CPU serves all.
 *
 * What probes cost is kept apart for each account: those of a service, say. A probe's cookie names the account. */
#pragma once

#define ALLOC_MAX_BYTES (1ULL << 47) /* user memory of both architectures: more cannot be had */

/* As gap_quantiles, of the bytes between two samples. */
const volatile u64 alloc_quantiles[GAP_STEPS + 1];

struct prof_alloc {
	s64 left; /* bytes until the next sample */
	u64 hits; /* of probes on emulated instructions, and on others */
	u64 stepped;
	u64 drawn;
	u64 owner; /* of account 0: who walks a stack on this CPU, where the scheduler cannot be kept off */
	u64 walked_ns; /* that samples took */
};

/* By account; the loader makes room for as many as a run has. */

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct prof_alloc);
} allocs SEC(".maps");

/* The bytes that a call asks for; 0: none, or more than there can be. */
static __always_inline u64 asked_bytes(struct pt_regs *ctx, u32 cookie)
{
	/* verifier: loads of a context have constant offsets; clang would choose the offset and load once. */
	u64 arg0 = argument(ctx, 0), arg1 = argument(ctx, 1), arg2 = argument(ctx, 2);
	u64 size, n = 1;

	barrier_var(arg0);
	barrier_var(arg1);
	barrier_var(arg2);

	if (cookie & PROF_ALLOC_NULL_ELSEWHERE && !arg0)
		return 0;
	switch (cookie & PROF_ALLOC_SIZE) {
	case PROF_ALLOC_ARG0:
		size = arg0;
		break;
	case PROF_ALLOC_ARG1:
		size = arg1;
		break;
	case PROF_ALLOC_ARG2:
		size = arg2;
		break;
	case PROF_ALLOC_ARG0_ARG1:
		size = arg0;
		n = arg1;
		break;
	case PROF_ALLOC_ARG1_ARG2:
		size = arg1;
		n = arg2;
		break;
	default:
		return 0;
	}
	if ((size | n) >> 32 && (size >= ALLOC_MAX_BYTES || (n && size > ALLOC_MAX_BYTES / n)))
		return 0;
	size *= n;
	return size < ALLOC_MAX_BYTES ? size : 0;
}

/* Whether a call that asks for so many bytes is sampled. */
static __always_inline bool alloc_due(struct prof_alloc *a, u64 size)
{
	if (!a->drawn) {
		a->drawn = 1;
		a->left = draw_gap(alloc_quantiles);
	}
	a->left -= size;
	if (a->left > 0)
		return false;
	a->left = draw_gap(alloc_quantiles);
	return true;
}

static __always_inline void sample_alloc(struct pt_regs *ctx, struct prof_alloc *a, u64 size)
{
	struct prof_counters *c = counter(config.alloc_event);
	struct prof_scratch *s = scratch(config.alloc_context);
	u64 begin = bpf_ktime_get_ns();

	if (!c || !s)
		return;
	bpf_probe_read_kernel(&s->regs, sizeof(s->regs), ctx);
	if (to_caller(&s->regs))
		c->refused++; /* the stack begins in the allocator, as well as it can be walked from there */
	s->sample.weight = size;
	s->sample.enabled_ns = 0;
	s->sample.running_ns = 0;
	take_sample(ctx, (bpf_user_pt_regs_t *)&s->regs, config.alloc_event, config.alloc_context,
		    c, s, begin);
	a->walked_ns += bpf_ktime_get_ns() - begin;
}

static __always_inline int on_alloc(struct pt_regs *ctx)
{
	u64 cookie = bpf_get_attach_cookie(ctx);
	u32 zero = 0, account = cookie >> PROF_ALLOC_ACCOUNT;
	struct prof_alloc *a = bpf_map_lookup_elem(&allocs, &account), *cpu;
	struct prof_counters *c;
	u64 size;

	if (!a)
		return 0; /* never: the loader gives no other numbers */
	if (cookie & PROF_ALLOC_STEPPED)
		a->stepped++;
	else
		a->hits++;
	size = asked_bytes(ctx, cookie);
	if (!size)
		return 0;
	if (!alloc_due(a, size))
		return 0;
	if (config.alloc_alone) {
		bpf_preempt_disable();
		sample_alloc(ctx, a, size);
		bpf_preempt_enable();
		return 0;
	}
	/* Another thread may come between on this CPU and find the scratch taken. */
	cpu = bpf_map_lookup_elem(&allocs, &zero);
	if (!cpu)
		return 0; /* never */
	if (cpu->owner) {
		c = counter(config.alloc_event);
		if (c) {
			c->fired++;
			c->lost_busy++;
		}
		return 0;
	}
	cpu->owner = bpf_get_current_pid_tgid();
	sample_alloc(ctx, a, size);
	cpu->owner = 0;
	return 0;
}

/* One link for all functions of a file, since 6.6; or else a perf event for each, since 5.15 with a cookie. The loader takes one of the two. */
SEC("uprobe.multi")
int alloc_multi(struct pt_regs *ctx)
{
	return on_alloc(ctx);
}

SEC("uprobe")
int alloc_probe(struct pt_regs *ctx)
{
	return on_alloc(ctx);
}
