package server

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/ebpfprof/ebpfprof/pkg/metrics"
)

// metricsHandler answers scrapes. Scrapes at the same time share one reading.
func (s *Server) metricsHandler() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics.Collector(s.snapshot))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{CoalesceGather: true, EnableOpenMetrics: true})
}

// snapshot joins what Options.Metrics has with rows from Status and the server's own.
func (s *Server) snapshot() metrics.Snapshot {
	var all metrics.Snapshot
	if s.o.Metrics != nil {
		all = s.o.Metrics()
	}
	status := s.o.Status()
	if all.Version == "" {
		all.Version = status.Version
	}
	status.addTo(&all)
	s.counts.addTo(&all)
	all.Add(metrics.LiveReaders, float64(len(s.live)))
	all.Add(metrics.Recordings, float64(len(s.recordings)))
	return all
}

// addTo enters the rows that follow from a status.
func (s Status) addTo(all *metrics.Snapshot) {
	all.Add(metrics.Ready, truth(s.Ready))
	for _, k := range s.Kinds {
		if !k.Active {
			continue
		}
		all.Add(metrics.SamplesTotal, float64(k.Samples), k.Name, "delivered")
		lost := uint64(0)
		for reason, n := range k.Lost {
			lost += n
			all.Add(metrics.SamplesLostTotal, float64(n), k.Name, reason)
		}
		all.Add(metrics.SamplesTotal, float64(lost), k.Name, "lost")
	}
	all.Add(metrics.OverheadCPUSecondsTotal, s.Overhead.KernelSeconds, "kernel")
	all.Add(metrics.OverheadCPUSecondsTotal, s.Overhead.UserSeconds, "user")
	all.Add(metrics.MemoryBytes, float64(s.Overhead.RSSBytes), "resident")
	all.Add(metrics.MemoryBytes, float64(s.Overhead.KernelBytes), "kernel")
	if s.Store != nil {
		s.Store.addTo(all)
	}
	for _, p := range s.Push {
		p.addTo(all)
	}
	all.Add(metrics.ConfigReloadSuccessful, truth(s.Config.Successful))
	if !s.Config.LastSuccess.IsZero() {
		all.Add(metrics.ConfigReloadTimestampSeconds, float64(s.Config.LastSuccess.UnixNano())/float64(time.Second))
	}
}

func (s *StoreStatus) addTo(all *metrics.Snapshot) {
	all.Add(metrics.StoreBytes, float64(s.Bytes))
	all.Add(metrics.StoreFiles, float64(s.Files))
	all.Add(metrics.StoreSeries, float64(s.Series))
	all.Add(metrics.StorePaused, truth(s.Paused != ""))
	all.Add(metrics.StoreWindowsTotal, float64(s.Written))
	for reason, n := range s.Dropped {
		all.Add(metrics.StoreDroppedWindowsTotal, float64(n), reason)
	}
	all.Add(metrics.StoreCorruptFilesTotal, float64(s.Corrupt))
}

func (p PushStatus) addTo(all *metrics.Snapshot) {
	for outcome, n := range p.Requests {
		all.Add(metrics.PushRequestsTotal, float64(n), p.Target, outcome)
	}
	all.Add(metrics.PushProfilesTotal, float64(p.Pushed), p.Target)
	for reason, n := range p.Dropped {
		all.Add(metrics.PushDroppedProfilesTotal, float64(n), p.Target, reason)
	}
	all.Add(metrics.PushSpoolBytes, float64(p.SpooledBytes), p.Target)
	all.Add(metrics.PushSpoolFiles, float64(p.SpooledFiles), p.Target)
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
