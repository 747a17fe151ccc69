/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Address -> rule of its frame, from the tables that user space compiled (pkg/unwind). */
#pragma once

#define BLOCK_STEPS 24 /* 2^24 blocks are more than a table has */
#define RULE_NONE 0

static __always_inline struct prof_cached *cached_rule(struct prof_cache *cache, u64 key)
{
	return &cache->entries[(key * 0x9e3779b97f4a7c15ULL) >> 54 & (PROF_CACHED - 1)];
}

static __always_inline u64 rule_key(struct prof_place *p, u64 offset)
{
	return (u64)p->id << 32 | (u32)offset;
}

/* Searches the rule for an offset in the object of place v, and remembers it; RULE_NONE without one. Global, so that the
 * verifier checks the searches once. */
__noinline u64 search_rule(u32 context, u32 v, u64 offset)
{
	struct prof_scratch *s = scratch(context);
	u32 lo = 0, hi, at, index, pc = offset;
	struct prof_cached *cached;
	struct prof_cache *cache;
	struct prof_space *sp;
	struct prof_place *p;
	struct prof_block *b;
	void *table;

	cache = cache_of(context);
	sp = s ? space(s) : NULL;
	if (!sp || !cache)
		return RULE_NONE;
	p = &sp->places[v & (PROF_VMAS - 1)];
	table = bpf_map_lookup_elem(&tables, &p->table);
	if (!table)
		return RULE_NONE; /* evicted meanwhile */
	/* The last block that starts at or before pc. */
	hi = p->row_blocks;
	for (int i = 0; i < BLOCK_STEPS && hi - lo > 1; i++) {
		u32 mid = (lo + hi) / 2;

		at = p->rule_blocks + mid;
		b = bpf_map_lookup_elem(table, &at);
		if (!b)
			return RULE_NONE;
		if (b->pc[0] <= pc)
			lo = mid;
		else
			hi = mid;
	}
	at = p->rule_blocks + lo;
	b = bpf_map_lookup_elem(table, &at);
	if (!b || b->pc[0] > pc)
		return RULE_NONE;
	/* The last row of it that starts at or before pc. */
	at = 0;
	for (u32 step = PROF_BLOCK_ROWS / 2; step; step /= 2)
		if (b->pc[(at + step) & (PROF_BLOCK_ROWS - 1)] <= pc)
			at += step;
	index = b->rule[at & (PROF_BLOCK_ROWS - 1)];
	at = index / PROF_BLOCK_RULES;
	b = bpf_map_lookup_elem(table, &at);
	if (!b)
		return RULE_NONE;
	cached = cached_rule(cache, rule_key(p, offset));
	cached->key = rule_key(p, offset);
	cached->rule = b->rules[index & (PROF_BLOCK_RULES - 1)];
	return cached->rule;
}
