package export

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/common/config"
)

// Defaults of Options. Those of Pyroscope are what a server of August 2026 with default limits accepts.
const (
	// DefaultMaxSamples is Pyroscope's validation.max-profile-stacktrace-samples.
	DefaultMaxSamples = 16000
	// DefaultMaxProfileBytes is below Pyroscope's ingestion burst of 2 MiB. A profile may have 4 MiB
	// (validation.max-profile-size-bytes), but one that is larger than the burst is refused for its rate each time
	// it is tried.
	DefaultMaxProfileBytes = 7 << 18
	// DefaultMaxRequestBytes keeps a request within the burst as well. A server takes about half a second for one,
	// so one after the other stays below its 4 MB/s.
	DefaultMaxRequestBytes = 7 << 18
	// DefaultMaxAge is Pyroscope's validation.reject-older-than of one hour, less what clocks may differ by and a
	// request may take.
	DefaultMaxAge = 55 * time.Minute
	// DefaultSpoolBytes is about an hour of 100 services.
	DefaultSpoolBytes = 256 << 20
	// DefaultMemoryBytes is what may wait in memory, compressed, before it goes to disk or is dropped.
	DefaultMemoryBytes = 16 << 20
	// DefaultQueue is how many intervals may wait to be encoded: several of every kind of event.
	DefaultQueue = 64
	// DefaultTimeout is for one request. A server answers in half a second when it is well.
	DefaultTimeout = 15 * time.Second
	// DefaultStopTimeout is how long Run may take to end: sending for two thirds of it, then writing to disk.
	DefaultStopTimeout = 1500 * time.Millisecond
	// DefaultMinBackoff and DefaultMaxBackoff bound the pause between tries.
	DefaultMinBackoff = 500 * time.Millisecond
	DefaultMaxBackoff = time.Minute
)

// Options say where profiles go and what may be kept until they are there. Only URL is needed.
type Options struct {
	URL    string                   // of the server, such as http://localhost:4040
	Tenant string                   // X-Scope-OrgID; "" sends none
	HTTP   *config.HTTPClientConfig // authentication, TLS, proxy, headers; nil: none of them
	// Labels are added to every series, where it has no label of that name itself: host, cluster, region.
	Labels map[string]string

	SpoolDir   string        // folder for what cannot be sent now; "": memory only
	SpoolBytes int64         // bound of the files in it; beyond it the oldest are dropped
	MaxAge     time.Duration // since the start of a profile; what is older is dropped, because the server refuses it

	Queue       int   // intervals that wait to be encoded
	MemoryBytes int64 // encoded profiles that wait in memory

	MaxSamples      int // of one profile; more become several profiles
	MaxProfileBytes int // of one profile, uncompressed
	MaxRequestBytes int // of one request, uncompressed

	Timeout     time.Duration // of one request
	StopTimeout time.Duration
	MinBackoff  time.Duration
	MaxBackoff  time.Duration

	UserAgent string       // "" for ebpfprof
	Log       *slog.Logger // nil discards

	// Now and After are the clock of ages and pauses; nil is the real one. Time limits of requests and of stopping
	// are always real.
	Now   func() time.Time
	After func(time.Duration) <-chan time.Time
}

func orDefault[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

func (o *Options) setDefaults() {
	orDefault(&o.SpoolBytes, DefaultSpoolBytes)
	orDefault(&o.MaxAge, DefaultMaxAge)
	orDefault(&o.Queue, DefaultQueue)
	orDefault(&o.MemoryBytes, DefaultMemoryBytes)
	orDefault(&o.MaxSamples, DefaultMaxSamples)
	orDefault(&o.MaxProfileBytes, DefaultMaxProfileBytes)
	orDefault(&o.MaxRequestBytes, DefaultMaxRequestBytes)
	orDefault(&o.Timeout, DefaultTimeout)
	orDefault(&o.StopTimeout, DefaultStopTimeout)
	orDefault(&o.MinBackoff, DefaultMinBackoff)
	orDefault(&o.MaxBackoff, DefaultMaxBackoff)
	orDefault(&o.UserAgent, "ebpfprof")
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.After == nil {
		o.After = time.After
	}
	if o.HTTP == nil {
		o.HTTP = new(config.DefaultHTTPClientConfig)
	}
}

// check says what is wrong with numbers that cannot work, after setDefaults.
func (o *Options) check() error {
	for _, n := range []struct {
		name  string
		value int64
	}{
		{"spool bytes", o.SpoolBytes}, {"maximum age", int64(o.MaxAge)}, {"queue", int64(o.Queue)},
		{"memory bytes", o.MemoryBytes}, {"samples of a profile", int64(o.MaxSamples)},
		{"bytes of a profile", int64(o.MaxProfileBytes)}, {"bytes of a request", int64(o.MaxRequestBytes)},
		{"timeout", int64(o.Timeout)}, {"stop timeout", int64(o.StopTimeout)},
		{"shortest pause", int64(o.MinBackoff)}, {"longest pause", int64(o.MaxBackoff)},
	} {
		if n.value < 0 {
			return fmt.Errorf("configure push: %s is negative", n.name)
		}
	}
	return nil
}

// endpoint returns the address of a server's method: path is added to the URL's own unless it is there.
func endpoint(server, path string) (*url.URL, error) {
	u, err := url.Parse(server)
	if err != nil {
		return nil, fmt.Errorf("parse push URL: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("parse push URL %q: want http://HOST[:PORT] or https://HOST[:PORT]", u.Redacted())
	}
	if !strings.HasSuffix(u.Path, path) {
		u = u.JoinPath(path)
	}
	return u, nil
}

// Check says what is wrong with options, and does nothing.
func Check(o Options) error {
	o.setDefaults()
	if err := o.check(); err != nil {
		return err
	}
	if _, err := endpoint(o.URL, ""); err != nil {
		return err
	}
	_, err := o.client("check")
	return err
}

func (o *Options) client(name string) (*http.Client, error) {
	if err := o.HTTP.Validate(); err != nil {
		return nil, fmt.Errorf("configure push over HTTP: %w", err)
	}
	c, err := config.NewClientFromConfig(*o.HTTP, name, config.WithUserAgent(o.UserAgent))
	if err != nil {
		return nil, fmt.Errorf("configure push over HTTP: %w", err)
	}
	return c, nil
}
