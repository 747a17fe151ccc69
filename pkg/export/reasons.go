package export

// Reasons why a profile is dropped: the values of the label of ebpfprof_push_dropped_profiles_total.
const (
	DropQueueFull    = "queue_full"    // intervals came faster than they could be encoded
	DropInvalid      = "invalid"       // the profile itself is broken
	DropTooLarge     = "too_large"     // one stack alone is larger than a profile may be
	DropRefused      = "refused"       // the server will not have it, whenever it is sent
	DropUnauthorized = "unauthorized"  // the server does not know us, or not for this
	DropTooOld       = "too_old"       // could not be sent while the server would take it
	DropMemoryFull   = "memory_full"   // no spool, or it cannot be written, and memory is at its bound
	DropSpoolFull    = "spool_full"    // the spool is at its bound; the oldest went
	DropSpoolCorrupt = "spool_corrupt" // a file of the spool was damaged
	DropStopped      = "stopped"       // the exporter ended with neither time nor a spool for it
)

// Reasons returns all of them.
func Reasons() []string {
	return []string{DropQueueFull, DropInvalid, DropTooLarge, DropRefused, DropUnauthorized, DropTooOld,
		DropMemoryFull, DropSpoolFull, DropSpoolCorrupt, DropStopped}
}

// Outcomes of requests: the values of the label of ebpfprof_push_requests_total.
const (
	OutcomeOK      = "ok"      // everything in it was accepted
	OutcomePartial = "partial" // some of it was
	OutcomeRetry   = "retry"   // nothing was, or nobody knows; it is sent again
	OutcomeRefused = "refused" // nothing was, and it is not sent again
)

// Outcomes returns all of them.
func Outcomes() []string { return []string{OutcomeOK, OutcomePartial, OutcomeRetry, OutcomeRefused} }
