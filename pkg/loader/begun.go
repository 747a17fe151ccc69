package loader

import (
	"fmt"
	"math"
	"unsafe"
)

// begunFlag marks a stack whose wait has only begun: PROF_FLAG_BEGUN.
const begunFlag = 16

// begun holds the stacks of waits that have not ended, where stacks are walked early: one for each thread.
type begun struct {
	records map[uint32][]byte // by TID
	bytes   int
}

const maxBegunBytes = 32 << 20

func (b *begun) put(raw []byte) {
	h := (*bpfProfSample)(unsafe.Pointer(unsafe.SliceData(raw)))
	b.drop(h.Tid)
	if b.bytes+len(raw) > maxBegunBytes {
		return // its end will not find it
	}
	if b.records == nil {
		b.records = map[uint32][]byte{}
	}
	b.records[h.Tid] = append([]byte(nil), raw...)
	b.bytes += len(raw)
}

func (b *begun) drop(tid uint32) {
	b.bytes -= len(b.records[tid])
	delete(b.records, tid)
}

// take returns the stack that an end belongs to, or nil.
func (b *begun) take(w *bpfProfWait) []byte {
	raw := b.records[w.Tid]
	if raw == nil {
		return nil
	}
	b.drop(w.Tid)
	if (*bpfProfSample)(unsafe.Pointer(unsafe.SliceData(raw))).TimeNs != w.TimeNs {
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
	stack := s.offcpu.begun.take(w)
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
