package perfevent

import (
	"runtime"
	"strings"
)

// family names the events that are compared with each other: they are opened as one group, so that the PMU counts them
// in the same slices of time. Four at most: processors have four general counters, or more.
func (e Event) family() string {
	if !e.Hardware() {
		return ""
	}
	switch name := alias(e.Name); name {
	case "cycles", "instructions", "cache-references", "cache-misses":
		return "core"
	case "branches", "branch-misses":
		return "branches"
	default:
		for _, op := range []string{"-load", "-store", "-prefetch"} {
			if unit, _, ok := strings.Cut(name, op); ok {
				return unit + op
			}
		}
	}
	return ""
}

// Groups divides events into those that are opened as one group, as indices into events. Each group has been on the PMU
// once: one that does not fit, such as because the NMI watchdog has a counter, is divided into its events.
func Groups(events []Event) [][]int {
	var groups [][]int
	at := map[string]int{}
	for i, e := range events {
		f := e.family()
		if g, ok := at[f]; ok && f != "" {
			groups[g] = append(groups[g], i)
			continue
		}
		at[f] = len(groups)
		groups = append(groups, []int{i})
	}
	var fit [][]int
	for _, g := range groups {
		if len(g) == 1 || fits(events, g) {
			fit = append(fit, g)
			continue
		}
		for _, i := range g {
			fit = append(fit, []int{i})
		}
	}
	return fit
}

// fits tries a group on this thread.
func fits(events []Event, group []int) bool {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var leader *Counter
	for _, i := range group {
		c, err := Open(events[i].Attr(), 0, -1, leader)
		if err != nil {
			return false
		}
		defer c.Close()
		if leader == nil {
			leader = &c
		}
	}
	if leader.Enable() != nil {
		return false
	}
	churn()
	n, err := leader.Read()
	return err == nil && n.Running > 0
}
