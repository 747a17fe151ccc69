/* SPDX-License-Identifier: Apache-2.0 */
/* The functions that would have been called without us: those of the first object behind this one, in the order in which
 * the dynamic linker looks names up. dlsym(RTLD_NEXT) does the same, but lies in a library of its own before glibc 2.34
 * and allocates memory. */
#pragma once

extern const struct elf_dyn _DYNAMIC[] __attribute__((visibility("hidden")));

/* An object's table of names. */
struct names {
	uint64_t base;
	const struct elf_sym *symbols;
	const char *strings;
	const uint32_t *gnu, *sysv;
	const uint16_t *versions;
};

struct search {
	const char *name;
	int behind; /* this object was seen */
	uint64_t found; /* the address */
};

static int same(const char *a, const char *b)
{
	for (; *a && *a == *b; a++, b++)
		;
	return *a == *b;
}

/* glibc has written addresses over the offsets of the dynamic section, musl has not. */
static const void *located(uint64_t base, uint64_t value)
{
	return (const void *)(value < base ? base + value : value);
}

static int read_names(uint64_t base, const struct elf_dyn *d, struct names *n)
{
	n->base = base;
	n->symbols = NULL;
	n->strings = NULL;
	n->gnu = n->sysv = NULL;
	n->versions = NULL;
	for (; d && d->tag != DT_NULL; d++) {
		const void *at = located(n->base, d->value);

		switch (d->tag) {
		case DT_SYMTAB:
			n->symbols = at;
			break;
		case DT_STRTAB:
			n->strings = at;
			break;
		case DT_HASH:
			n->sysv = at;
			break;
		case DT_GNU_HASH:
			n->gnu = at;
			break;
		case DT_VERSYM:
			n->versions = at;
			break;
		}
	}
	return n->symbols && n->strings && (n->gnu || n->sysv);
}

static int is_definition(const struct names *n, uint32_t i, const char *name)
{
	const struct elf_sym *s = &n->symbols[i];
	int type = s->info & 15;

	return s->section != SHN_UNDEF && s->value && s->info >> 4 != STB_LOCAL &&
	       (type == STT_FUNC || type == STT_NOTYPE || type == STT_GNU_IFUNC) &&
	       !(n->versions && n->versions[i] & VERSYM_HIDDEN) && same(n->strings + s->name, name);
}

/* As the GNU linker lays it out: buckets lead to runs of hashes, of which the last has its lowest bit set. */
static const struct elf_sym *look_gnu(const struct names *n, const char *name)
{
	uint32_t buckets = n->gnu[0], first = n->gnu[1], bloom = n->gnu[2], hash = 5381, i;
	const uint32_t *bucket = n->gnu + 4 + bloom * 2, *chain = bucket + buckets;

	for (const char *c = name; *c; c++)
		hash = hash * 33 + (uint8_t)*c;
	if (!buckets)
		return NULL;
	i = bucket[hash % buckets];
	if (i < first)
		return NULL;
	for (;; i++) {
		uint32_t other = chain[i - first];

		if ((other | 1) == (hash | 1) && is_definition(n, i, name))
			return &n->symbols[i];
		if (other & 1)
			return NULL;
	}
}

/* gABI 5, Hash Table: here only for how many symbols there are. */
static const struct elf_sym *look_all(const struct names *n, const char *name)
{
	for (uint32_t i = 1; i < n->sysv[1]; i++)
		if (is_definition(n, i, name))
			return &n->symbols[i];
	return NULL;
}

static uint64_t address_of(const struct names *n, const struct elf_sym *s)
{
	uint64_t at = n->base + s->value;

	if ((s->info & 15) != STT_GNU_IFUNC)
		return at;
	return ((uint64_t (*)(uint64_t))at)(getauxval ? getauxval(AT_HWCAP) : 0);
}

/* One object, in order. Returns 1 to end the search. */
static int look(struct search *s, uint64_t base, const struct elf_dyn *dynamic)
{
	const struct elf_sym *found;
	struct names n;

	if (!s->behind) {
		s->behind = dynamic == _DYNAMIC;
		return 0;
	}
	if (!read_names(base, dynamic, &n))
		return 0;
	found = n.gnu ? look_gnu(&n, s->name) : look_all(&n, s->name);
	if (!found)
		return 0;
	s->found = address_of(&n, found);
	return 1;
}

static int look_phdr(struct phdr_info *info, size_t size, void *arg)
{
	const struct elf_dyn *dynamic = NULL;

	(void)size;
	for (int i = 0; i < info->phnum; i++)
		if (info->phdr[i].type == PT_DYNAMIC)
			dynamic = (const void *)(info->base + info->phdr[i].vaddr);
	return look(arg, info->base, dynamic);
}

/* NULL: there is none. */
static NOINLINE void *find_next(const char *name)
{
	struct search s = { name, 0, 0 };

	if (&_r_debug && _r_debug.map) {
		for (const struct link_map *m = _r_debug.map; m; m = m->next)
			if (look(&s, m->base, m->dynamic))
				break;
	} else {
		dl_iterate_phdr(look_phdr, &s);
	}
	return (void *)s.found;
}
