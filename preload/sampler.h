/* SPDX-License-Identifier: Apache-2.0 */
/* Samples by bytes: each byte that is asked for is sampled with the probability 1 - exp(-1/mean), and an allocation if one
 * of its bytes is. */
#pragma once

struct thread {
	int64_t left; /* bytes before the next that is sampled, less what has been asked for */
	uint64_t random; /* 0: nothing was drawn yet */
	uint64_t inside; /* calls of an allocator that may call malloc by name */
};

/* Initial-exec: memory that is there when a thread begins to run, without a call. */
static __thread struct thread self __attribute__((tls_model("initial-exec")));

static inline uint64_t ticks(void)
{
#if defined(__x86_64__)
	return __builtin_ia32_rdtsc();
#else
	uint64_t t;

	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(t));
	return t;
#endif
}

/* A step of a linear congruential generator (Knuth's MMIX), its bits mixed as in SplitMix64. */
static uint64_t draw(struct thread *t)
{
	uint64_t x = t->random = t->random * 6364136223846793005u + 1442695040888963407u;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

/* An exponential distance, by comparisons alone (von Neumann, 1951): a run of falling uniform numbers that begins with u
 * has an odd length with the probability exp(-u). The clock goes into it, or children of a fork would all draw alike. */
static uint64_t gap(struct thread *t, uint64_t mean)
{
	t->random ^= ticks();
	for (uint64_t whole = 0;; whole += mean) {
		uint64_t first = draw(t), last = first, next;
		int odd = 1;

		for (; (next = draw(t)) < last; odd = !odd)
			last = next;
		if (odd)
			return whole + (uint64_t)((unsigned __int128)first * mean >> 64);
	}
}

/* So many means are sampled for certain: less than one in 10^27 is not. */
#define CERTAIN 64

/* How many bytes of an allocation are sampled, now that left is negative; sets it to what is left then. */
static uint64_t points(struct thread *t, size_t size, uint64_t mean)
{
	uint64_t n = 0;

	if (!t->random) {
		t->random = (uint64_t)t;
		t->left += gap(t, mean);
	}
	if (t->left < 0 && -t->left / (int64_t)mean >= CERTAIN) {
		t->left = gap(t, mean);
		return (size + mean / 2) / mean;
	}
	for (; t->left < 0; n++)
		t->left += 1 + gap(t, mean);
	return n;
}

/* Takes the sample that is due. Apart from the functions that are called often, and with a frame pointer. */
static NOINLINE void account(void *p, size_t size)
{
	uint64_t mean = ebpfprof_settings.mean, n;

	n = points(&self, size, mean);
	if (!n || self.inside)
		return; /* the outer call is sampled by itself */
	if (ebpfprof_settings.frees)
		remember(p);
	ebpfprof_alloc(p, size, n * mean);
	__asm__ volatile(""); /* no jump: this frame is to be found */
}

/* Counts bytes, and tells whether a sample may be due. */
static inline int spend(size_t size)
{
	self.left = (uint64_t)self.left - size;
	return RARELY(self.left < 0);
}

/* Before a call that may fail, or throw: who asks for what cannot be had asks for nothing. */
static inline void give_back(size_t size)
{
	self.left = (uint64_t)self.left + size;
}

static inline void took(void *p, size_t size)
{
	if (spend(size))
		account(p, size);
}
