/* SPDX-License-Identifier: Apache-2.0 */
/* What is read of the objects of this process, as the ELF specification (gABI 4.1) and the GNU C library lay it out. Of
 * our own, because headers of a C library are for one machine. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define EXPORT __attribute__((visibility("default")))
#define NOINLINE __attribute__((noinline))
#define RARELY(x) __builtin_expect(!!(x), 0)

#define PT_DYNAMIC 2
#define DT_NULL 0
#define DT_HASH 4
#define DT_STRTAB 5
#define DT_SYMTAB 6
#define DT_VERSYM 0x6ffffff0
#define DT_GNU_HASH 0x6ffffef5
#define SHN_UNDEF 0
#define STT_NOTYPE 0
#define STT_FUNC 2
#define STT_GNU_IFUNC 10
#define STB_LOCAL 0
#define VERSYM_HIDDEN 0x8000 /* not the version that a name alone means */
#define AT_HWCAP 16

struct elf_sym {
	uint32_t name;
	uint8_t info, other;
	uint16_t section;
	uint64_t value, size;
};

struct elf_dyn {
	int64_t tag;
	uint64_t value;
};

struct elf_phdr {
	uint32_t type, flags;
	uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

/* dl_iterate_phdr(3) */
struct phdr_info {
	uint64_t base;
	const char *name;
	const struct elf_phdr *phdr;
	uint16_t phnum;
};

int dl_iterate_phdr(int (*f)(struct phdr_info *, size_t, void *), void *);

/* <link.h>: glibc's list of objects. */
struct link_map {
	uint64_t base;
	const char *name;
	const struct elf_dyn *dynamic;
	struct link_map *next, *previous;
};

struct r_debug {
	int version;
	struct link_map *map;
};

extern struct r_debug _r_debug __attribute__((weak));
unsigned long getauxval(unsigned long) __attribute__((weak)); /* glibc 2.16, musl 1.1 */
