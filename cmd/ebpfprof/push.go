package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/pkg/config"
	"github.com/ebpfprof/ebpfprof/pkg/export"
	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// A pushTarget is a server that a recording is sent to.
type pushTarget struct {
	url      string
	exporter *export.Exporter
}

// otlpScheme before a URL says that the server there speaks OTLP.
const otlpScheme = "otlp+"

// planPush makes a target of --push. Authentication, TLS and proxy are those of the daemon's variables.
func planPush(url string) (*pushTarget, error) {
	if url == "" {
		return nil, nil
	}
	c, err := config.Load(config.Sources{LookupEnv: os.LookupEnv})
	if err != nil {
		return nil, usageError("--push: %w", err)
	}
	target, open := c.Push.Pyroscope, export.NewPyroscope
	target.URL = url
	if rest, ok := strings.CutPrefix(url, otlpScheme); ok {
		target, open = c.Push.OTLP, export.NewOTLP
		target.URL = rest
	}
	target.Spool = config.Spool{} // we end with the recording: what cannot be sent is told
	e, err := open(exportOptions(target, slog.New(slog.DiscardHandler)))
	if err != nil {
		return nil, usageError("--push: %w", err)
	}
	return &pushTarget{target.URL, e}, nil
}

// pushLimit bounds how long the server may take, retries included.
const pushLimit = 30 * time.Second

// push sends a profile, service by service.
func (t *pushTarget) push(ctx context.Context, p *pprof.Profile, lost uint64) error {
	ctx, cancel := context.WithTimeout(ctx, pushLimit)
	defer cancel()
	kind := p.PeriodType.Type
	i := &profile.Interval{
		Kind: kind, Start: time.Unix(0, p.TimeNanos), Duration: time.Duration(p.DurationNanos), Lost: lost,
	}
	for _, part := range profile.Split(p, profile.LabelService) {
		series := profile.Series{Kind: kind, Service: cmp.Or(part.Value, "[nameless]")}
		i.Windows = append(i.Windows, &profile.Window{Series: series, Profile: part.Profile})
	}
	if err := t.exporter.Push(ctx, i); err != nil {
		return fmt.Errorf("push to %s: %w", t.exporter.Status().URL, err)
	}
	return nil
}
