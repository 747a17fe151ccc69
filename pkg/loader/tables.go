package loader

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/cilium/ebpf"

	"github.com/ebpfprof/ebpfprof/pkg/unwind"
)

const (
	blockBytes = 768 // sizeof(struct prof_block)
	blockRows  = 128 // PROF_BLOCK_ROWS
	blockRules = 64  // PROF_BLOCK_RULES
	maxTables  = 4096
	noRow      = math.MaxUint32 // PROF_NO_ROW

	// uploadBlocks are written to the kernel at once.
	uploadBlocks = 256
)

// ErrTablesFull means that the kernel side has no room for another unwind table.
var ErrTablesFull = errors.New("no room for another unwind table")

// A Segment is an executable segment of an object file.
type Segment struct{ Vaddr, Offset, Filesz uint64 }

type block [blockBytes]byte

// tables is the unwind tables that the kernel holds. Safe for concurrent use.
type tables struct {
	mu      sync.Mutex
	outer   *ebpf.Map
	inner   *ebpf.MapSpec
	index   *ebpf.Map // FileID -> prof_object
	change  *ebpf.Variable
	changes uint32
	held    map[FileID]table
	free    []uint32 // places that were used before
	next    uint32   // the first that was not
	nextID  uint32
	bytes   int64
	waits   sync.WaitGroup // calls that the kernel lets wait
	waiting chan struct{}
}

// maxWaits bounds the threads that the kernel lets wait at once.
const maxWaits = 16

type table struct {
	place uint32
	bytes int64
}

func (t *tables) init(coll *ebpf.Collection, inner *ebpf.MapSpec) {
	t.outer, t.index, t.inner = coll.Maps[bpfMapTables], coll.Maps[bpfMapObjects], inner
	t.change = coll.Variables[bpfVarTableGeneration]
	t.held, t.waiting = map[FileID]table{}, make(chan struct{}, maxWaits)
}

// changed makes the walker look up again what it remembers of objects.
func (t *tables) changed() error {
	t.changes++
	if err := t.change.Set(t.changes); err != nil {
		return fmt.Errorf("announce change of unwind tables: %w", err)
	}
	return nil
}

// SetTable gives the kernel the unwind table of an object, whose executable segments are segs. It takes effect with the
// next stack; one that replaces another does so at once. The zero FileID stands for the vDSO. It returns the bytes of
// kernel memory that the table takes.
func (s *Sampler) SetTable(id FileID, t *unwind.Table, segs []Segment) (int64, error) {
	rules := (len(t.Rules) + blockRules - 1) / blockRules
	rows := countRows(t, segs)
	if rows == 0 {
		return 0, nil
	}
	blocks := rules + (rows+blockRows-1)/blockRows
	spec := s.tables.inner.Copy()
	spec.Name, spec.MaxEntries = "table", uint32(blocks)
	m, err := ebpf.NewMap(spec)
	if err != nil {
		return 0, fmt.Errorf("make unwind table of %d blocks: %w", blocks, err)
	}
	defer m.Close()
	u := uploader{to: m}
	uploadRules(&u, t)
	uploadRows(&u, t, segs)
	if err := u.flush(); err != nil {
		return 0, fmt.Errorf("write unwind table of %d blocks: %w", blocks, err)
	}
	size := int64(blocks) * blockBytes
	return size, s.tables.enter(id, m, bpfProfObject{RuleBlocks: uint32(rules), RowBlocks: uint32(blocks - rules)}, size)
}

// enter makes a table known to the walker.
func (t *tables) enter(id FileID, m *ebpf.Map, o bpfProfObject, size int64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	old, replaces := t.held[id]
	place := t.next
	switch {
	case len(t.free) > 0:
		place = t.free[len(t.free)-1]
		t.free = t.free[:len(t.free)-1]
	case t.next < maxTables:
		t.next++
	default:
		return ErrTablesFull
	}
	t.nextID++
	o.Table, o.Id = place, t.nextID
	if err := t.put(place, m); err != nil {
		t.free = append(t.free, place)
		return fmt.Errorf("enter unwind table: %w", err)
	}
	if err := t.index.Put(key(id), &o); err != nil {
		t.drop(place)
		return fmt.Errorf("enter unwind table: %w", err)
	}
	if replaces {
		t.drop(old.place) // a walk that has its place finds nothing, and goes on without a rule
		t.bytes -= old.bytes
	}
	t.held[id] = table{place, size}
	t.bytes += size
	return t.changed()
}

// put enters a table at a place. The kernel makes it visible at once, and then lets the caller wait for all programs that
// may hold what was there before (maybe_wait_bpf_programs(), some 15 ms): nothing was, so we do not.
func (t *tables) put(place uint32, m *ebpf.Map) error {
	fd, done := uint32(m.FD()), make(chan error, 1)
	t.waits.Go(func() { t.wait(func() { done <- t.outer.Put(place, fd) }) })
	for {
		select {
		case err := <-done:
			return err
		default:
		}
		var id uint32
		if t.outer.Lookup(place, &id) == nil && id != 0 {
			return nil
		}
		time.Sleep(visibleInterval)
	}
}

const visibleInterval = 20 * time.Microsecond

// drop takes a table out, and makes its place free when no walk can hold it any more. mu is held.
func (t *tables) drop(place uint32) {
	t.waits.Go(func() {
		t.wait(func() { _ = t.outer.Delete(place) })
		t.mu.Lock() // not within wait: who holds it may be waiting for its turn there
		defer t.mu.Unlock()
		t.free = append(t.free, place)
	})
}

// wait calls f, which the kernel lets wait, when it is its turn.
func (t *tables) wait(f func()) {
	t.waiting <- struct{}{}
	defer func() { <-t.waiting }()
	f()
}

func key(id FileID) *bpfProfFileId {
	return &bpfProfFileId{Dev: id.Dev, Ino: id.Ino, Mtime: id.MtimeSec}
}

// TableBytes is the kernel memory of all unwind tables.
func (s *Sampler) TableBytes() int64 {
	s.tables.mu.Lock()
	defer s.tables.mu.Unlock()
	return s.tables.bytes
}

// EvictTables drops the tables that were used least recently until at most limit bytes are left, and returns whose
// they were.
func (s *Sampler) EvictTables(limit int64) []FileID {
	t := &s.tables
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.bytes <= limit {
		return nil
	}
	type use struct {
		id FileID
		ns uint64
	}
	var uses []use
	for id := range t.held {
		var o bpfProfObject
		_ = t.index.Lookup(key(id), &o) // one that is not there was never used
		uses = append(uses, use{id, o.UsedNs})
	}
	slices.SortFunc(uses, func(a, b use) int {
		if a.ns < b.ns {
			return -1
		}
		return 1
	})
	var gone []FileID
	for _, u := range uses {
		if t.bytes <= limit {
			break
		}
		held := t.held[u.id]
		_ = t.index.Delete(key(u.id))
		t.drop(held.place)
		t.bytes -= held.bytes
		delete(t.held, u.id)
		gone = append(gone, u.id)
	}
	_ = t.changed() // what is remembered finds no table, and is forgotten in a second
	return gone
}

// eachRow calls f with the rows of the segments, by file offset, with a row of rule 0 at the end of each.
func eachRow(t *unwind.Table, segs []Segment, f func(offset uint32, rule uint16)) {
	segs = slices.Clone(segs)
	slices.SortFunc(segs, func(a, b Segment) int {
		if a.Offset < b.Offset {
			return -1
		}
		return 1
	})
	var floor uint64 // segments may overlap in a hostile file; rows must ascend
	for _, g := range segs {
		end := g.Offset + g.Filesz
		if g.Filesz == 0 || end < g.Offset || end >= noRow || g.Offset < floor {
			continue
		}
		i := t.Search(g.Vaddr)
		if i >= 0 {
			f(uint32(g.Offset), t.Row(i).Rule)
		} else {
			f(uint32(g.Offset), 0)
		}
		for i++; i < t.Len(); i++ {
			row := t.Row(i)
			vaddr := t.Base + uint64(row.PC)
			if vaddr >= g.Vaddr+g.Filesz {
				break
			}
			if vaddr > g.Vaddr {
				f(uint32(vaddr-g.Vaddr+g.Offset), row.Rule)
			}
		}
		f(uint32(end), 0)
		floor = end + 1
	}
}

func countRows(t *unwind.Table, segs []Segment) int {
	n := 0
	eachRow(t, segs, func(uint32, uint16) { n++ })
	return n
}

// An uploader writes blocks to the kernel, many at a time.
type uploader struct {
	to     *ebpf.Map
	first  uint32
	blocks []block
	err    error
}

// next returns a fresh block.
func (u *uploader) next() *block {
	if len(u.blocks) == uploadBlocks {
		u.err = u.flush()
	}
	u.blocks = append(u.blocks, block{})
	return &u.blocks[len(u.blocks)-1]
}

func (u *uploader) flush() error {
	if u.err != nil || len(u.blocks) == 0 {
		return u.err
	}
	keys := make([]uint32, len(u.blocks))
	for i := range keys {
		keys[i] = u.first + uint32(i)
	}
	_, err := u.to.BatchUpdate(keys, u.blocks, nil)
	if errors.Is(err, ebpf.ErrNotSupported) { // before 5.6
		err = nil
		for i := range keys {
			if err == nil {
				err = u.to.Put(keys[i], u.blocks[i])
			}
		}
	}
	u.first += uint32(len(u.blocks))
	u.blocks = u.blocks[:0]
	return err
}

func uploadRules(u *uploader, t *unwind.Table) {
	for rules := range slices.Chunk(t.Rules, blockRules) {
		b := u.next()
		for i, r := range rules {
			enc := r.Encode()
			copy(b[i*8:], enc[:])
		}
	}
}

func uploadRows(u *uploader, t *unwind.Table, segs []Segment) {
	var b *block
	n := 0
	eachRow(t, segs, func(offset uint32, rule uint16) {
		if n%blockRows == 0 {
			b = u.next()
			for i := range blockRows {
				binary.NativeEndian.PutUint32(b[i*4:], noRow)
			}
		}
		i := n % blockRows
		binary.NativeEndian.PutUint32(b[i*4:], offset)
		binary.NativeEndian.PutUint16(b[blockRows*4+i*2:], rule)
		n++
	})
}
