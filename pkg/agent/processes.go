package agent

import (
	"strings"
	"time"
	"unicode"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
)

// nsPerTick is a unit of the start time in /proc/PID/stat (USER_HZ = 100).
const nsPerTick = 10_000_000

const (
	// settleTime is how long after the first look a process is looked at again: it may have been seen between fork and
	// exec, as its parent.
	settleTime = time.Second
	// maxLooks bounds how often a process is looked at because its name changed, as exec does.
	maxLooks = 4
)

type processKey struct {
	pid     int
	startNs uint64
}

// A process is never changed once it is in the list.
type process struct {
	pid       int
	service   string // "" when the process had gone before it could be asked
	container string
	series    uint32 // of the generation
	thin      *thinning
	drop      bool
}

// A look is what was seen of a process when it was identified.
type look struct {
	id    uint32 // of process
	comm  uint16 // of the main thread
	at    time.Duration
	count uint8
	again bool // once more after settleTime
}

// processes holds each process that was sampled. A number that was used again is another process.
type processes struct {
	identify Identifier
	series   *seriesTable
	ids      map[processKey]*look
	list     []process
	limit    int  // 0: none
	relook   bool // identify a process again when it may have become another program
	thin     func(series string, fraction float64) *thinning
}

func newProcesses(identify Identifier) *processes {
	return &processes{identify: identify, series: newSeriesTable(), ids: map[processKey]*look{}}
}

// add returns the number of a sample's process, whose thread has the name with number comm.
func (t *processes) add(s *loader.Sample, comm uint16) uint32 {
	key := processKey{s.PID, s.StartNs}
	l, known := t.ids[key]
	if known && !t.changed(l, s, comm) {
		return l.id
	}
	if !known {
		if t.limit > 0 && len(t.list) >= t.limit {
			return t.other()
		}
		l = &look{again: true}
		t.ids[key] = l
	}
	l.comm, l.at = comm, s.Time
	l.count++
	who := t.identify(s.PID, s.StartNs/nsPerTick)
	if known && !who.OK {
		l.again = false
		return l.id // what was known of it when it lived stands
	}
	if known && l.again {
		l.again = false
	}
	p := t.entry(s, who)
	if known && t.list[l.id].same(p) {
		return l.id
	}
	l.id = uint32(len(t.list))
	t.list = append(t.list, p)
	return l.id
}

// changed reports whether a known process may be another program by now.
func (t *processes) changed(l *look, s *loader.Sample, comm uint16) bool {
	if !t.relook || l.count >= maxLooks {
		return false
	}
	if l.again && s.Time-l.at > settleTime {
		return true
	}
	return s.PID == s.TID && comm != l.comm
}

func (t *processes) entry(s *loader.Sample, who Identity) process {
	p := process{pid: s.PID, drop: who.Drop}
	service := printable(string(s.Comm)) // a process that is gone goes by its thread's name
	if who.OK {
		p.service, p.container, service = who.Service, who.Container, who.Service
	}
	if service == "" {
		service = otherName
	}
	p.series = t.series.add(service, who.Labels, !who.OK)
	if who.Fraction > 0 && who.Fraction < 1 && t.thin != nil {
		p.thin = t.thin(t.series.list[p.series].key, who.Fraction)
	}
	return p
}

// other is the entry of all processes that the table has no room for.
func (t *processes) other() uint32 {
	key := processKey{pid: -1}
	l := t.ids[key]
	if l == nil {
		l = &look{id: uint32(len(t.list)), count: maxLooks}
		t.ids[key] = l
		t.list = append(t.list, process{service: otherName, series: t.series.add(otherName, nil, false)})
	}
	return l.id
}

func (p process) same(q process) bool {
	return p.series == q.series && p.container == q.container && p.thin == q.thin && p.drop == q.drop && p.service == q.service
}

// printable makes a name that a process chose fit for labels: UTF-8 without control characters.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}
