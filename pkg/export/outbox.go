package export

import (
	"errors"
	"io/fs"
	"slices"
	"sync"
	"time"
)

// An outbox is what waits to be sent, in memory and on disk. One goroutine puts, one takes and settles; anybody may ask
// for its size. The disk is never written or read while the lock is held.
type outbox struct {
	spool       *spool // nil: memory only
	memoryLimit int64
	spoolLimit  int64
	drop        func(reason string, profiles int, err error)
	fail        func(error)   // of the disk; nothing is dropped for it
	wake        chan struct{} // holds one token when there may be something to take

	mu      sync.Mutex
	entries []*entry // the next to be sent first
	memory  int64    // bytes of bodies
	disk    int64    // bytes of files
	offline bool     // the last request failed: what comes goes to disk at once, to survive us
}

// An entry is a batch in memory (body) or on disk (file).
type entry struct {
	at       time.Time
	profiles int
	body     []byte
	file     string
	size     int64 // of file
	held     bool  // being sent or written: not to be dropped by others
}

func newOutbox(o *Options, s *spool, files []spoolFile, c *counters) *outbox {
	b := &outbox{
		spool: s, memoryLimit: o.MemoryBytes, spoolLimit: o.SpoolBytes,
		drop: c.drop, fail: c.fail, wake: make(chan struct{}, 1),
	}
	for _, f := range files {
		b.entries = append(b.entries, &entry{at: f.at, profiles: f.profiles, file: f.name, size: f.size})
		b.disk += f.size
	}
	b.evict()
	b.signal()
	return b
}

func (b *outbox) signal() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// put takes a batch in. It may wait for the disk, never for a server.
func (b *outbox) put(x batch) {
	e := &entry{at: x.at, profiles: x.profiles, body: x.body}
	b.mu.Lock()
	toDisk := b.spool != nil && (b.offline || b.memory+int64(len(x.body)) > b.memoryLimit)
	b.mu.Unlock()
	if toDisk {
		b.write(e)
	}
	b.mu.Lock()
	b.entries = append(b.entries, e)
	b.account(e, 1)
	b.mu.Unlock()
	b.evict()
	b.signal()
}

// write moves an entry that is in no list from memory to disk. Where that fails it stays in memory.
func (b *outbox) write(e *entry) bool {
	f, err := b.spool.write(batch{e.at, e.profiles, e.body})
	if err != nil {
		b.fail(err)
		return false
	}
	e.body, e.file, e.size = nil, f.name, f.size
	return true
}

func (b *outbox) account(e *entry, sign int64) {
	b.memory += sign * int64(len(e.body))
	b.disk += sign * e.size
}

// evict drops the oldest until both bounds hold.
func (b *outbox) evict() {
	b.evictOver(func() bool { return b.disk > b.spoolLimit }, func(e *entry) bool { return e.file != "" }, DropSpoolFull)
	b.evictOver(func() bool { return b.memory > b.memoryLimit }, func(e *entry) bool { return e.file == "" }, DropMemoryFull)
}

func (b *outbox) evictOver(full func() bool, where func(*entry) bool, reason string) {
	for {
		b.mu.Lock()
		var oldest *entry
		if full() {
			for _, e := range b.entries {
				if !e.held && where(e) && (oldest == nil || e.at.Before(oldest.at)) {
					oldest = e
				}
			}
		}
		if oldest != nil {
			b.unlink(oldest)
		}
		b.mu.Unlock()
		if oldest == nil {
			return
		}
		b.discard(oldest, reason, nil)
	}
}

// unlink takes e out of the list; the lock is held.
func (b *outbox) unlink(e *entry) {
	if i := slices.Index(b.entries, e); i >= 0 {
		b.entries = slices.Delete(b.entries, i, i+1)
		b.account(e, -1)
	}
}

// discard accounts for an entry that is out of the list.
func (b *outbox) discard(e *entry, reason string, err error) {
	if e.file != "" {
		b.spool.remove(e.file)
	}
	b.drop(reason, e.profiles, err)
}

// expire drops what is from before oldest.
func (b *outbox) expire(oldest time.Time) {
	b.mu.Lock()
	var old []*entry
	for _, e := range b.entries {
		if !e.held && e.at.Before(oldest) {
			old = append(old, e)
		}
	}
	for _, e := range old {
		b.unlink(e)
	}
	b.mu.Unlock()
	for _, e := range old {
		b.discard(e, DropTooOld, nil)
	}
}

// take returns the next batch, held until settle; nil when there is none. A damaged file is dropped and passed over.
// After an error there may be more.
func (b *outbox) take() (*entry, batch, error) {
	for {
		b.mu.Lock()
		if len(b.entries) == 0 {
			b.mu.Unlock()
			return nil, batch{}, nil
		}
		e := b.entries[0]
		e.held = true
		b.mu.Unlock()
		if e.file == "" {
			return e, batch{e.at, e.profiles, e.body}, nil
		}
		x, err := b.spool.read(e.file)
		if err == nil {
			return e, x, nil
		}
		if !errors.Is(err, errSpoolCorrupt) && !errors.Is(err, fs.ErrNotExist) {
			b.fail(err) // out of descriptors, a disk that stalls: the file may be well
			b.giveBack(e)
			return nil, batch{}, err
		}
		b.mu.Lock()
		b.unlink(e)
		b.mu.Unlock()
		b.discard(e, DropSpoolCorrupt, err)
	}
}

// giveBack ends the hold on e. It is taken next after all others, so that one batch which a server cannot take holds
// up no other.
func (b *outbox) giveBack(e *entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e.held = false
	if i := slices.Index(b.entries, e); i >= 0 {
		b.entries = append(slices.Delete(b.entries, i, i+1), e)
	}
}

// settle ends the hold on e after a verdict on it.
func (b *outbox) settle(e *entry, v verdict) {
	b.mu.Lock()
	b.offline = v.again != nil
	b.mu.Unlock()
	switch {
	case v.again != nil && v.again.profiles == e.profiles && v.busy:
		b.mu.Lock()
		e.held = false
		b.mu.Unlock()
	case v.again != nil && v.again.profiles == e.profiles:
		b.giveBack(e)
	default:
		if v.again != nil {
			b.put(*v.again) // before the whole is removed: a crash between may send twice, but loses nothing
		}
		b.mu.Lock()
		b.unlink(e)
		b.mu.Unlock()
		if e.file != "" {
			b.spool.remove(e.file)
		}
	}
	if v.again != nil {
		b.spill()
	}
}

// spill moves what is in memory to disk, as far as that can be written.
func (b *outbox) spill() {
	if b.spool == nil {
		return
	}
	b.mu.Lock()
	var in []*entry
	for _, e := range b.entries {
		if e.file == "" && !e.held {
			e.held = true
			in = append(in, e)
		}
	}
	b.mu.Unlock()
	for i, e := range in {
		x := &entry{at: e.at, profiles: e.profiles, body: e.body}
		written := b.write(x)
		b.mu.Lock()
		if written {
			b.account(e, -1)
			e.body, e.file, e.size = nil, x.file, x.size
			b.account(e, 1)
		}
		e.held = false
		b.mu.Unlock()
		if !written { // nor will the others be
			b.mu.Lock()
			for _, rest := range in[i:] {
				rest.held = false
			}
			b.mu.Unlock()
			break
		}
	}
	b.evict()
}

// abandon drops what is in memory and could not be written.
func (b *outbox) abandon() {
	b.mu.Lock()
	var lost []*entry
	for _, e := range b.entries {
		if e.file == "" {
			lost = append(lost, e)
		}
	}
	for _, e := range lost {
		b.unlink(e)
	}
	b.mu.Unlock()
	for _, e := range lost {
		b.discard(e, DropStopped, nil)
	}
}

// contents fills in what waits.
func (b *outbox) contents(s *Status) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s.Memory.Bytes, s.Spool.Bytes = b.memory, b.disk
	for _, e := range b.entries {
		in := &s.Memory
		if e.file != "" {
			in = &s.Spool
		}
		in.Requests++
		in.Profiles += e.profiles
		if in.Oldest == nil || e.at.Before(*in.Oldest) {
			in.Oldest = &e.at
		}
	}
}
