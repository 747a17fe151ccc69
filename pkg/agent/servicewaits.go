package agent

import (
	"sync/atomic"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
)

// ServiceWaits sums by service what each process's threads waited. Only Forget may be called beside Add.
type ServiceWaits struct {
	names  *ServiceCounts
	known  map[loader.ProcessID]*waitedProcess
	relook atomic.Bool
}

type waitedProcess struct {
	comm string
	most loader.Times // that was seen of each of its times
}

// NewServiceWaits returns one that asks identify for each process once, and again when it became another program.
func NewServiceWaits(identify Identifier) *ServiceWaits {
	return &ServiceWaits{names: NewServiceCounts(identify), known: map[loader.ProcessID]*waitedProcess{}}
}

// Forget makes it ask anew for every process: what names services has changed. Safe for concurrent use.
func (s *ServiceWaits) Forget() { s.relook.Store(true) }

// Add returns what was waited since the last totals, by service. The times of a process never fall, though its totals
// may for one reading, while a thread of it ends. What rules leave out is in none, and what ended before anybody could
// ask is in "other".
func (s *ServiceWaits) Add(t *loader.OffCPUTotals) map[string]*loader.Times {
	if s.relook.Swap(false) {
		s.names.Forget()
	}
	comms := map[loader.ProcessID]string{}
	for i := range t.Threads {
		if th := &t.Threads[i]; th.PID == th.TID {
			comms[loader.ProcessID{PID: th.PID, StartNs: th.StartNs}] = th.Comm
		}
	}
	sums := map[string]*loader.Times{}
	now := t.Processes()
	for id, times := range now {
		p := s.known[id]
		if p == nil {
			p = &waitedProcess{}
			s.known[id] = p
		}
		if comm := comms[id]; comm != "" {
			p.comm = comm
		}
		news := p.news(times)
		name, ok := s.names.Service(row(id, p.comm, false))
		if !ok {
			continue
		}
		if sums[name] == nil {
			sums[name] = &loader.Times{}
		}
		sums[name].Add(&news)
	}
	for id, p := range s.known {
		if now[id] == nil {
			s.names.Service(row(id, p.comm, true))
			delete(s.known, id)
		}
	}
	return sums
}

// row names a process as counting does. Control groups are not known.
func row(id loader.ProcessID, comm string, gone bool) *loader.CountRow {
	return &loader.CountRow{PID: id.PID, TGID: id.PID, StartNs: id.StartNs, StartTicks: id.StartNs / nsPerTick, Comm: comm, Gone: gone}
}

// news returns by how much times are more than ever.
func (p *waitedProcess) news(t *loader.Times) (n loader.Times) {
	for i, v := range t.In {
		n.In[i] = max(v-p.most.In[i], 0)
	}
	for i, v := range t.Runqueue {
		n.Runqueue[i] = v - min(v, p.most.Runqueue[i])
	}
	n.Switches = t.Switches - min(t.Switches, p.most.Switches)
	p.most.Add(&n)
	return n
}
