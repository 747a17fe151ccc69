/* SPDX-License-Identifier: Apache-2.0 */
/* The functions of C (C23 7.24.3), of POSIX, and what C libraries add. Those that are called often end in a jump: a sample
 * is due once in thousands of calls, and is taken by another function.
 *
 * Each is found when it is first called. Some allocators call one of these from another by name, as musl's calloc does:
 * what is asked for inside is not sampled. */
#pragma once

#define ENOMEM 12

static void *first_malloc(size_t);
static void *first_calloc(size_t, size_t);
static void *first_realloc(void *, size_t);
static void *first_aligned_alloc(size_t, size_t);
static void *first_memalign(size_t, size_t);
static int first_posix_memalign(void **, size_t, size_t);
static void *first_valloc(size_t);
static void *first_pvalloc(size_t);
static void first_free(void *);

static void *(*next_malloc)(size_t) = first_malloc;
static void *(*next_calloc)(size_t, size_t) = first_calloc;
static void *(*next_realloc)(void *, size_t) = first_realloc;
static void *(*next_aligned_alloc)(size_t, size_t) = first_aligned_alloc;
static void *(*next_memalign)(size_t, size_t) = first_memalign;
static int (*next_posix_memalign)(void **, size_t, size_t) = first_posix_memalign;
static void *(*next_valloc)(size_t) = first_valloc;
static void *(*next_pvalloc)(size_t) = first_pvalloc;
static void (*next_free)(void *) = first_free;

/* A function that is nowhere refuses, as if there were no memory. Every C library has malloc and free. */
static void *none(void)
{
	return NULL;
}

static int none_posix(void)
{
	return ENOMEM;
}

#define FIND(name, otherwise)                                                           \
	do {                                                                            \
		void *found = find_next(#name);                                         \
		next_##name = (typeof(next_##name))(found ? found : (void *)otherwise); \
	} while (0)

static void *first_malloc(size_t size)
{
	FIND(malloc, none);
	return next_malloc(size);
}

static void *first_calloc(size_t n, size_t size)
{
	FIND(calloc, none);
	return next_calloc(n, size);
}

static void *first_realloc(void *p, size_t size)
{
	FIND(realloc, none);
	return next_realloc(p, size);
}

static void *first_aligned_alloc(size_t alignment, size_t size)
{
	FIND(aligned_alloc, none);
	return next_aligned_alloc(alignment, size);
}

static void *first_memalign(size_t alignment, size_t size)
{
	FIND(memalign, none);
	return next_memalign(alignment, size);
}

static int first_posix_memalign(void **p, size_t alignment, size_t size)
{
	FIND(posix_memalign, none_posix);
	return next_posix_memalign(p, alignment, size);
}

static void *first_valloc(size_t size)
{
	FIND(valloc, none);
	return next_valloc(size);
}

static void *first_pvalloc(size_t size)
{
	FIND(pvalloc, none);
	return next_pvalloc(size);
}

static void first_free(void *p)
{
	FIND(free, none);
	next_free(p);
}

/* The value of a call from within which malloc may be called by name. */
#define INSIDE(call)                       \
	({                                 \
		self.inside++;             \
		typeof(call) value = call; \
		self.inside--;             \
		value;                     \
	})

static NOINLINE void *sample_malloc(size_t size)
{
	void *p;

	give_back(size);
	p = INSIDE(next_malloc(size));
	if (p)
		took(p, size);
	return p;
}

EXPORT void *malloc(size_t size)
{
	if (spend(size))
		return sample_malloc(size);
	return next_malloc(size);
}

EXPORT void *calloc(size_t n, size_t size)
{
	void *p = INSIDE(next_calloc(n, size));

	if (p)
		took(p, n * size);
	return p;
}

static NOINLINE void *sample_realloc(void *old, size_t size)
{
	void *p;

	give_back(size);
	p = INSIDE(next_realloc(old, size));
	if (p)
		took(p, size);
	return p;
}

/* Memory of a realloc that fails counts as freed: it is free before that is known. */
EXPORT void *realloc(void *p, size_t size)
{
	if (p)
		freeing(p);
	if (spend(size))
		return sample_realloc(p, size);
	return next_realloc(p, size);
}

/* glibc's jumps to realloc by name, and is younger than that. */
EXPORT void *reallocarray(void *p, size_t n, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes))
		bytes = -1; /* realloc says that this cannot be had */
	return realloc(p, bytes);
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
	void *p = INSIDE(next_aligned_alloc(alignment, size));

	if (p)
		took(p, size);
	return p;
}

EXPORT void *memalign(size_t alignment, size_t size)
{
	void *p = INSIDE(next_memalign(alignment, size));

	if (p)
		took(p, size);
	return p;
}

EXPORT int posix_memalign(void **p, size_t alignment, size_t size)
{
	int err = INSIDE(next_posix_memalign(p, alignment, size));

	if (!err)
		took(*p, size);
	return err;
}

EXPORT void *valloc(size_t size)
{
	void *p = INSIDE(next_valloc(size));

	if (p)
		took(p, size);
	return p;
}

EXPORT void *pvalloc(size_t size)
{
	void *p = INSIDE(next_pvalloc(size));

	if (p)
		took(p, size);
	return p;
}

EXPORT void free(void *p)
{
	freeing(p);
	next_free(p);
}

/* C23: whatever free may be called on. */
EXPORT void free_sized(void *p, size_t size)
{
	(void)size;
	free(p);
}

EXPORT void free_aligned_sized(void *p, size_t alignment, size_t size)
{
	(void)alignment;
	(void)size;
	free(p);
}
