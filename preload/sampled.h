/* SPDX-License-Identifier: Apache-2.0 */
/* The addresses of sampled memory that is not freed yet: buckets of a cache line each, and for each bucket the number of
 * addresses in it, which is all that a free looks at in most cases. */
#pragma once

#define BUCKETS 8192 /* a power of two; 8 KiB of counts */
#define BUCKET_SLOTS 8
#define OVERFLOWED 255

static uint8_t bucket_counts[BUCKETS];
static uint64_t bucket_slots[BUCKETS][BUCKET_SLOTS] __attribute__((aligned(64)));

static inline uint32_t bucket_of(const void *p)
{
	return ((uint64_t)p >> 4) * 0x9e3779b97f4a7c15u >> (64 - __builtin_ctz(BUCKETS));
}

static void count_in_bucket(uint32_t b, int more)
{
	uint8_t n = __atomic_load_n(&bucket_counts[b], __ATOMIC_RELAXED);

	while (n != OVERFLOWED && !__atomic_compare_exchange_n(&bucket_counts[b], &n, n + more, 0,
							       __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

/* Where a bucket is full, all frees in it are told from then on: who listens knows which addresses were sampled. */
static void remember(const void *p)
{
	uint32_t b = bucket_of(p);

	for (int i = 0; i < BUCKET_SLOTS; i++) {
		uint64_t none = 0;

		if (!__atomic_compare_exchange_n(&bucket_slots[b][i], &none, (uint64_t)p, 0,
						 __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			continue;
		count_in_bucket(b, 1);
		return;
	}
	__atomic_store_n(&bucket_counts[b], OVERFLOWED, __ATOMIC_RELAXED);
}

static NOINLINE void forget(void *p)
{
	uint32_t b = bucket_of(p);

	for (int i = 0; i < BUCKET_SLOTS; i++) {
		uint64_t old = (uint64_t)p;

		if (__atomic_load_n(&bucket_slots[b][i], __ATOMIC_RELAXED) != old ||
		    !__atomic_compare_exchange_n(&bucket_slots[b][i], &old, 0, 0, __ATOMIC_RELAXED,
						 __ATOMIC_RELAXED))
			continue;
		count_in_bucket(b, -1);
		ebpfprof_free(p);
		return;
	}
	if (__atomic_load_n(&bucket_counts[b], __ATOMIC_RELAXED) == OVERFLOWED)
		ebpfprof_free(p);
}

/* Before memory is freed: afterwards another thread may be given it. */
static inline void freeing(void *p)
{
	if (RARELY(__atomic_load_n(&bucket_counts[bucket_of(p)], __ATOMIC_RELAXED)))
		forget(p);
}
