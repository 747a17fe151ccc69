// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// All of ebpfprof's BPF programs, one object. The loader leaves out what a run does not need.
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "prof.h"
#include "maps.h"
#include "target.h"
#include "file.h"
#include "vma.h"
#include "rule.h"
#include "regs.h"
#include "cfi.h"
#include "deep.h"
#include "walk.h"
#include "event.h"
#include "thread.h"
#include "offcpu.h"
#include "visit.h"
#include "waker.h"
#include "alloc.h"
#include "live.h"
#include "allocsampled.h"
#include "ksym.h"
#include "count.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* BTF keeps only types that something names, and bpf2go reads them there. */
const struct prof_block *type_block __attribute__((unused));
const struct prof_comm *type_comm __attribute__((unused));
const struct prof_alloc *type_alloc __attribute__((unused));
const enum prof_alloc_role *type_alloc_role __attribute__((unused));
const enum prof_heap_what *type_heap_what __attribute__((unused));
const struct prof_heap *type_heap __attribute__((unused));
const enum prof_sampled *type_sampled __attribute__((unused));
const enum prof_doing *type_doing __attribute__((unused));
const struct prof_thread_row *type_row __attribute__((unused));
const struct prof_wait *type_wait __attribute__((unused));
const enum prof_end *type_end __attribute__((unused));
const enum prof_filter *type_filter __attribute__((unused));
const enum prof_record_type *type_record __attribute__((unused));
const enum prof_wakers *type_wakers __attribute__((unused));
const enum prof_vma_kind *type_vma __attribute__((unused));
