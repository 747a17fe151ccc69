package main

import "strings"

// An allowance is a finding that is as it should be: the program asks first whether
// the kernel has it and does without.
type allowance struct {
	series string // of kernels, separated by blanks; "" is every kernel
	what   string // a Finding's What up to the kind in brackets
	reason string
}

// allowances are looked at in both directions: one that no kernel of the matrix needs
// any more is an error.
func allowances() []allowance {
	const (
		number    = "the loader puts an event's number in the place of the call"
		mtime     = "an inode's mtime has been a timespec i_mtime, __i_mtime (6.7 to 6.10) and two integers (since 6.11)"
		registers = "before 5.15 the user registers are read from the end of the kernel stack"
		changes   = "changes of mappings are counted since 6.4, in an int up to 6.11; before, nothing is remembered of them"
		mappings  = "before 6.1 the mappings of a process are in a red-black tree, since then in a maple tree"
		offcpu    = "off-cpu asks the kernel's types first: stacks are walked early before 6.18, sleepers' not before 6.2, threads are hashed before 6.2"
		state     = "a task's state is state up to 5.13, __state since"
	)
	return []allowance{
		{"5.10", "task_struct.__state", state},
		{"6.1 6.12 7", "task_struct___v513.state", state},
		{"5.10 6.1 6.12", "function bpf_task_work_schedule_resume_impl", offcpu},
		{"5.10 6.1", "function bpf_preempt_disable", offcpu},
		{"5.10 6.1", "function bpf_preempt_enable", offcpu},
		{"5.10 6.1", "function bpf_task_from_pid", offcpu},
		{"5.10 6.1", "function bpf_task_release", offcpu},
		{"5.10", "helper FnCopyFromUserTask", offcpu},
		{"5.10 6.1", "inode.i_mtime_sec", mtime},
		{"", "inode___v67.__i_mtime.tv_sec", mtime},
		{"6.12 7", "inode___v510.i_mtime.tv_sec", mtime},
		{"5.10", "helper FnTaskPtRegs", registers},
		{"5.10", "helper FnGetAttachCookie", number},
		{"5.10", "helper FnGetCurrentTaskBtf", registers},
		{"5.10", "mm_struct.mm_mt.ma_root", mappings},
		{"5.10", "maple_arange_64.pivot", mappings},
		{"5.10", "maple_arange_64.slot", mappings},
		{"5.10", "maple_range_64.pivot", mappings},
		{"5.10", "maple_range_64.slot", mappings},
		{"5.10 6.1", "mm_struct.mm_lock_seq.sequence", changes},
		{"", "mm_struct___v611.mm_lock_seq", changes},
		{"6.1 6.12 7", "mm_struct___v60.mm_rb.rb_node", mappings},
		{"6.1 6.12 7", "vm_area_struct___v60.vm_rb", mappings},
	}
}

// allow returns the index of the allowance for a finding on a kernel of this series,
// or -1.
func allow(list []allowance, f Finding, series string) int {
	what, _, _ := strings.Cut(f.What, " (")
	for i, a := range list {
		if a.what == what && (a.series == "" || containsWord(a.series, series)) {
			return i
		}
	}
	return -1
}

func containsWord(words, word string) bool {
	for w := range strings.FieldsSeq(words) {
		if w == word {
			return true
		}
	}
	return false
}
