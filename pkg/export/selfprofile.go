package export

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/pprof/profile"
	"github.com/grafana/pyroscope-go"
	"github.com/grafana/pyroscope-go/upstream"

	prof "github.com/ebpfprof/ebpfprof/pkg/profile"
)

// SelfProfileOptions say how this process profiles itself.
type SelfProfileOptions struct {
	Service  string        // "" for ebpfprof
	Interval time.Duration // 0 for 15 s
	Log      *slog.Logger  // nil discards
}

// A SelfProfile takes Go's own profiles of this process, CPU and memory, until it is closed. There can be one in a
// process, and none while something else takes a CPU profile.
type SelfProfile struct {
	session *pyroscope.Session
	close   sync.Once
}

// StartSelfProfile begins. Each profile is handed to add, such as an Exporter's Add, so that it is pushed with the same
// promises as all others: the SDK's own client drops what it cannot send, and does not say so.
func StartSelfProfile(o SelfProfileOptions, add func(*prof.Interval)) (*SelfProfile, error) {
	orDefault(&o.Service, "ebpfprof")
	orDefault(&o.Interval, 15*time.Second)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	session, err := pyroscope.NewSession(pyroscope.SessionConfig{
		Upstream: &selfUpstream{service: o.Service, add: add, log: o.Log}, Logger: selfLogger{o.Log},
		AppName: o.Service, UploadRate: o.Interval, DisableGCRuns: true,
		ProfilingTypes: []pyroscope.ProfileType{
			pyroscope.ProfileCPU, pyroscope.ProfileAllocObjects, pyroscope.ProfileAllocSpace,
			pyroscope.ProfileInuseObjects, pyroscope.ProfileInuseSpace,
		},
	})
	if err == nil {
		err = session.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("start self-profile: %w", err)
	}
	return &SelfProfile{session: session}, nil
}

// Close takes the last CPU profile and ends. It is safe to call again.
func (s *SelfProfile) Close() error {
	s.close.Do(s.session.Stop)
	return nil
}

// selfUpstream turns the SDK's uploads into intervals.
type selfUpstream struct {
	service string
	add     func(*prof.Interval)
	log     *slog.Logger
}

// Upload hands a profile on.
func (u *selfUpstream) Upload(job *upstream.UploadJob) {
	p, err := profile.ParseData(job.Profile)
	if err != nil {
		u.log.Warn("self-profile cannot be read", "err", err)
		return
	}
	kind := selfKind(p)
	duration := job.EndTime.Sub(job.StartTime)
	u.add(&prof.Interval{
		Kind: kind, Start: job.StartTime, Duration: duration,
		Windows: []*prof.Window{{Series: prof.Series{Kind: kind, Service: u.service}, Profile: p}},
	})
}

// Flush has nothing to do: Upload keeps nothing.
func (u *selfUpstream) Flush() {}

// selfKind tells a CPU profile of the Go runtime from one of memory.
func selfKind(p *profile.Profile) string {
	for _, t := range p.SampleType {
		if t.Type == "cpu" {
			return "cpu"
		}
	}
	return "heap"
}

// selfLogger is what the SDK has to say, which is of interest to those who look for it.
type selfLogger struct{ log *slog.Logger }

func (l selfLogger) Infof(format string, a ...any)  { l.log.Debug(fmt.Sprintf(format, a...)) }
func (l selfLogger) Debugf(format string, a ...any) { l.log.Debug(fmt.Sprintf(format, a...)) }
func (l selfLogger) Errorf(format string, a ...any) { l.log.Warn(fmt.Sprintf(format, a...)) }
