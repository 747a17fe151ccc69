// SPDX-License-Identifier: Apache-2.0
// The helper of record --preload: the dynamic linker maps it before a program's own libraries, so that its malloc and
// the like are called in place of theirs. Each counts bytes, hands on, and once in a while passes the site of a probe.
//
// It is there before the C library is, in programs of any C library: it is given nothing but what both glibc and musl
// export under one name, asks for no memory, and keeps no locks.
#include "elf.h"
#include "settings.h"
#include "sites.h"
#include "next.h"
#include "sampled.h"
#include "sampler.h"
#include "malloc.h"
#include "operators.h"
