package loader

import (
	"fmt"
	"math"
	"unsafe"
)

// begunFlag marks a stack whose wait has only begun: PROF_FLAG_BEGUN.
const begunFlag = 16

// begun holds stacks of which a later record tells more, one for each thread: those of waits that have not ended, where
// stacks are walked early, and those of wakers.
type begun struct {
	records map[uint32][]byte // by TID
	bytes   int
}

const maxBegunBytes = 32 << 20

func (b *begun) put(tid uint32, raw []byte) {
	b.drop(tid)
	if b.bytes+len(raw) > maxBegunBytes {
		return // its end will not find it
	}
	if b.records == nil {
		b.records = map[uint32][]byte{}
	}
	b.records[tid] = append([]byte(nil), raw...)
	b.bytes += len(raw)
}

func (b *begun) drop(tid uint32) {
	b.bytes -= len(b.records[tid])
	delete(b.records, tid)
}

// take returns a thread's stack if it is of that time, or nil.
func (b *begun) take(tid uint32, timeNs uint64) []byte {
	raw := b.records[tid]
	if raw == nil {
		return nil
	}
	b.drop(tid)
	if (*bpfProfSample)(unsafe.Pointer(unsafe.SliceData(raw))).TimeNs != timeNs {
		return nil
	}
	return raw
}

// waited makes the samples of a wait that ended: it was chosen with a known probability when it began.
func (s *Sampler) waited(raw []byte, sample *Sample, h Handler) error {
	if len(raw) < int(unsafe.Sizeof(bpfProfWait{})) {
		return fmt.Errorf("decode end of a wait: %d bytes", len(raw))
	}
	w := (*bpfProfWait)(unsafe.Pointer(unsafe.SliceData(raw)))
	stack := s.offcpu.begun.take(w.Tid, w.TimeNs)
	for part, ns := range w.Ns {
		if ns == 0 {
			continue
		}
		if stack == nil {
			s.unpaired.Add(1)
			continue
		}
		if err := decodeSample(stack, sample); err != nil {
			return err
		}
		sample.Waited = ns
		sample.Weight = uint64(math.Round(float64(ns) * 65536 / float64(max(w.Probability, 1))))
		if part == 1 {
			sample.Tag = uint16(Runqueue)
		} else {
			s.offcpu.join(sample, w.WakerNs)
		}
		s.deliver(sample, h)
	}
	return nil
}

// weigh replaces the length of a wait by the time that it stands for.
func (o *offCPU) weigh(s *Sample) {
	d := float64(s.Weight)
	s.Waited = s.Weight
	s.Weight = uint64(math.Round(d / -math.Expm1(-d/float64(o.options.Mean))))
}
