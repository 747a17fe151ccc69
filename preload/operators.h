/* SPDX-License-Identifier: Apache-2.0 */
/* C++'s operators new and delete (Itanium C++ ABI 5.1.5). Those of libstdc++ and libc++ call malloc, where their bytes are
 * counted; those of jemalloc, tcmalloc and mimalloc do not, or only some: what nobody has counted when an operator returns
 * is counted by it.
 *
 * An exception may pass through: nothing is kept across a call. */
#pragma once

/* Where an operator is nowhere behind us, as when a C program has loaded C++ for itself, memory that there is none of ends the
 * program: an exception cannot be thrown from here. */
static void *plain_new(size_t size)
{
	void *p = malloc(size);

	if (!p)
		__builtin_trap();
	return p;
}

#define NEW(symbol, otherwise, parameters, arguments)                                       \
	static void *first_##symbol parameters;                                             \
	static void *(*next_##symbol)parameters = first_##symbol;                           \
                                                                                            \
	static void *first_##symbol parameters                                              \
	{                                                                                   \
		void *found = find_next(#symbol);                                           \
                                                                                            \
		next_##symbol = (typeof(next_##symbol))(found ? found : (void *)otherwise); \
		return next_##symbol arguments;                                             \
	}                                                                                   \
                                                                                            \
	EXPORT void *symbol parameters;                                                     \
	EXPORT void *symbol parameters                                                      \
	{                                                                                   \
		int64_t before = self.left;                                                 \
		void *p = next_##symbol arguments;                                          \
                                                                                            \
		if (p && self.left == before)                                               \
			took(p, size);                                                      \
		return p;                                                                   \
	}

NEW(_Znwm, plain_new, (size_t size), (size))
NEW(_Znam, plain_new, (size_t size), (size))
NEW(_ZnwmRKSt9nothrow_t, malloc, (size_t size, const void *tag), (size, tag))
NEW(_ZnamRKSt9nothrow_t, malloc, (size_t size, const void *tag), (size, tag))

static void *aligned_new(size_t size, size_t alignment)
{
	void *p = memalign(alignment, size);

	if (!p)
		__builtin_trap();
	return p;
}

static void *aligned_nothrow(size_t size, size_t alignment)
{
	return memalign(alignment, size);
}

NEW(_ZnwmSt11align_val_t, aligned_new, (size_t size, size_t alignment), (size, alignment))
NEW(_ZnamSt11align_val_t, aligned_new, (size_t size, size_t alignment), (size, alignment))
NEW(_ZnwmSt11align_val_tRKSt9nothrow_t, aligned_nothrow,
    (size_t size, size_t alignment, const void *tag), (size, alignment, tag))
NEW(_ZnamSt11align_val_tRKSt9nothrow_t, aligned_nothrow,
    (size_t size, size_t alignment, const void *tag), (size, alignment, tag))

#define DELETE(symbol, parameters, arguments)                                          \
	static void first_##symbol parameters;                                         \
	static void(*next_##symbol) parameters = first_##symbol;                       \
                                                                                       \
	static void first_##symbol parameters                                          \
	{                                                                              \
		void *found = find_next(#symbol);                                      \
                                                                                       \
		next_##symbol = (typeof(next_##symbol))(found ? found : (void *)free); \
		next_##symbol arguments;                                               \
	}                                                                              \
                                                                                       \
	EXPORT void symbol parameters;                                                 \
	EXPORT void symbol parameters                                                  \
	{                                                                              \
		freeing(p);                                                            \
		next_##symbol arguments;                                               \
	}

DELETE(_ZdlPv, (void *p), (p))
DELETE(_ZdaPv, (void *p), (p))
DELETE(_ZdlPvm, (void *p, size_t size), (p, size))
DELETE(_ZdaPvm, (void *p, size_t size), (p, size))
DELETE(_ZdlPvRKSt9nothrow_t, (void *p, const void *tag), (p, tag))
DELETE(_ZdaPvRKSt9nothrow_t, (void *p, const void *tag), (p, tag))
DELETE(_ZdlPvSt11align_val_t, (void *p, size_t alignment), (p, alignment))
DELETE(_ZdaPvSt11align_val_t, (void *p, size_t alignment), (p, alignment))
DELETE(_ZdlPvmSt11align_val_t, (void *p, size_t size, size_t alignment), (p, size, alignment))
DELETE(_ZdaPvmSt11align_val_t, (void *p, size_t size, size_t alignment), (p, size, alignment))
DELETE(_ZdlPvSt11align_val_tRKSt9nothrow_t, (void *p, size_t alignment, const void *tag),
       (p, alignment, tag))
DELETE(_ZdaPvSt11align_val_tRKSt9nothrow_t, (void *p, size_t alignment, const void *tag),
       (p, alignment, tag))
