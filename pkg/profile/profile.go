// Package profile is the vocabulary that samplers and outputs share: google/pprof's
// profile.Profile with this project's conventions. It imports nothing else of ours.
//
// Conventions (see docs/formats.md): samples/count comes first, then the event's
// own type and unit; stacks are leaf first; an address with inlined calls is one
// location with several lines, innermost first; a stack that is not complete ends
// in a marker location (no mapping, address 0) such as "[truncated]" and carries
// the reason in the label "stack".
package profile

// Label keys of samples.
const (
	LabelComm      = "comm"      // thread name
	LabelPID       = "pid"       // numeric; process ID as the profiler sees it
	LabelTID       = "tid"       // numeric; thread ID as the profiler sees it
	LabelService   = "service"   // container, systemd unit or executable
	LabelContainer = "container" // container ID, 64 hex digits where the runtime has them
	LabelStack     = "stack"     // why the stack is not complete; absent when it is
)
