package loader

import (
	"errors"
	"fmt"
	"os"
	"time"
	"unsafe"

	"github.com/cilium/ebpf/ringbuf"
)

// A Handler takes what Run reads, on Run's goroutine. It must not block for long: the ring fills meanwhile.
type Handler interface {
	Sample(*Sample) // reused after return
	File(File)
	Tick() // between two drains, at least every drainInterval
}

// Run reads the ring until Stop was called and the ring is empty. It returns nil then.
func (s *Sampler) Run(h Handler) error {
	go s.watchCPUs()
	if s.offcpu != nil {
		go s.offcpu.visits(s.stopped)
	}
	var rec ringbuf.Record
	var sample Sample
	for {
		stopping := false
		select {
		case <-s.stopped:
			stopping = true
			s.reader.SetDeadline(time.Unix(0, 1)) // everything there is, and no waiting
		default:
			s.reader.SetDeadline(time.Now().Add(drainInterval))
		}
		for {
			err := s.reader.ReadInto(&rec)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err != nil {
				return fmt.Errorf("read ring: %w", err)
			}
			if err := s.dispatch(rec.RawSample, &sample, h); err != nil {
				return err
			}
		}
		h.Tick()
		if stopping {
			return nil
		}
	}
}

func (s *Sampler) dispatch(raw []byte, sample *Sample, h Handler) error {
	if len(raw) < 4 {
		return fmt.Errorf("read ring: record of %d bytes", len(raw))
	}
	switch kind := bpfProfRecordType(*(*uint32)(unsafe.Pointer(unsafe.SliceData(raw)))); kind {
	case bpfProfRecordTypePROF_RECORD_SAMPLE:
		if err := decodeSample(raw, sample); err != nil {
			return err
		}
		if sample.running > 0 {
			sample.Weight = s.scalings[sample.Event].scale(sample.CPU, sample.Weight, sample.enabled, sample.running)
		}
		if s.offcpu != nil && sample.Event == s.offcpu.event {
			if sample.begun {
				s.offcpu.begun.put(uint32(sample.TID), raw)
				return nil
			}
			if sample.woken {
				s.offcpu.join(sample, uint64(sample.enabled))
			}
			s.offcpu.weigh(sample)
		}
		sample.Objects = 0
		if s.alloc != nil && sample.Event == s.alloc.event {
			s.alloc.weigh(sample)
		}
		s.deliver(sample, h)
	case bpfProfRecordTypePROF_RECORD_WAKER:
		return s.offcpu.wakers.put(raw)
	case bpfProfRecordTypePROF_RECORD_WAIT:
		return s.waited(raw, sample, h)
	case bpfProfRecordTypePROF_RECORD_HEAP:
		return tellHeap(raw, h)
	case bpfProfRecordTypePROF_RECORD_FILE:
		f, err := decodeFile(raw)
		if err != nil {
			return err
		}
		h.File(f)
	case bpfProfRecordTypePROF_RECORD_COMM:
		if len(raw) >= int(unsafe.Sizeof(bpfProfComm{})) {
			s.decide((*bpfProfComm)(unsafe.Pointer(unsafe.SliceData(raw))).Comm)
		}
	default:
		return fmt.Errorf("read ring: record of unknown type %d", kind)
	}
	return nil
}

// deliver gives a sample of a target to the handler.
func (s *Sampler) deliver(sample *Sample, h Handler) {
	if sample.undecided && !s.accept(sample) {
		s.rejected[sample.Event].Add(1)
		return
	}
	if s.offcpu != nil && sample.Event == s.offcpu.event {
		k := s.offcpu.waits.of(sample.Kernel)
		sample.Kernel = sample.Kernel[k.skip:]
		if Doing(sample.Tag) != Runqueue {
			sample.Tag |= uint16(k.wait) << waitShift
			s.offcpu.countWaker(sample)
		}
	}
	h.Sample(sample)
}

// accept decides on a sample whose thread's, or ancestor's, name was new to the kernel.
func (s *Sampler) accept(sample *Sample) bool {
	own := s.decide(sample.comm)
	return sample.origin != [16]byte{} && s.decide(sample.origin) || own
}
