package agent

import (
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
)

// A tableState is where an object's unwind table is.
type tableState uint8

const (
	tableQueued    tableState = iota // to be compiled, or being compiled
	tableHeld                        // in the kernel
	tableNever                       // cannot be made, or has no room: not tried again
	tablePostponed                   // was evicted, or failed for now: not before the time
	tableAwaited                     // the time has come: compiled with the next stack that touches the object
)

const (
	// firstBackoff is how long an evicted table stays out; each time that it comes back and goes again doubles that. When
	// the tables in use exceed the budget, they take turns ever more slowly instead of being compiled in a loop.
	firstBackoff = time.Second
	maxBackoff   = time.Hour
	// maxTableStates bounds what is remembered. Forgetting costs at most one compilation of each.
	maxTableStates = 16 << 10
)

type tableEntry struct {
	state   tableState
	backoff time.Duration
	at      time.Time // of the last eviction or failure; with tablePostponed, when it ends
}

// tableStates remembers objects. The zero value is ready.
type tableStates struct{ entries map[loader.FileID]*tableEntry }

func (t *tableStates) entry(id loader.FileID) *tableEntry {
	e := t.entries[id]
	if e != nil {
		return e
	}
	if t.entries == nil || len(t.entries) >= maxTableStates {
		t.forget()
	}
	e = &tableEntry{}
	t.entries[id] = e
	return e
}

// forget drops all but what the queue and the kernel hold.
func (t *tableStates) forget() {
	kept := map[loader.FileID]*tableEntry{}
	for id, e := range t.entries {
		if e.state <= tableHeld {
			kept[id] = e
		}
	}
	t.entries = kept
}

// wanted reports whether an object that was announced is to be compiled now.
func (t *tableStates) wanted(id loader.FileID, now time.Time) bool {
	e := t.entries[id]
	return e == nil || e.state == tableAwaited || e.state == tablePostponed && !now.Before(e.at)
}

func (t *tableStates) queued(id loader.FileID) { t.entry(id).state = tableQueued }

func (t *tableStates) settled(id loader.FileID, s tableState) { t.entry(id).state = s }

// later puts an object off. One that had been left alone for long starts anew.
func (t *tableStates) later(id loader.FileID, now time.Time) {
	e := t.entry(id)
	if e.backoff == 0 || now.Sub(e.at) > 10*e.backoff {
		e.backoff = firstBackoff
	} else {
		e.backoff = min(2*e.backoff, maxBackoff)
	}
	e.state, e.at = tablePostponed, now.Add(e.backoff)
}

// due returns the objects whose time has come, each once.
func (t *tableStates) due(now time.Time) []loader.FileID {
	var out []loader.FileID
	for id, e := range t.entries {
		if e.state == tablePostponed && !now.Before(e.at) {
			e.state = tableAwaited
			out = append(out, id)
		}
	}
	return out
}
