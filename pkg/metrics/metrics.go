// Package metrics is the one table of every metric that ebpfprof exposes, and the way
// from a snapshot of values to Prometheus. Adding a metric is adding a row.
package metrics

import (
	"fmt"
	"io"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
)

// A Snapshot is the values of one moment. The zero value is empty.
type Snapshot struct {
	Version string
	values  []value
}

type value struct {
	id     ID
	v      float64
	labels []string
}

// Add enters a value; labels are in the order of the table's names.
func (s *Snapshot) Add(id ID, v float64, labels ...string) {
	s.values = append(s.values, value{id, v, labels})
}

// Collector exposes what read returns at each scrape.
func Collector(read func() Snapshot) prometheus.Collector { return collector{read} }

type collector struct{ read func() Snapshot }

// Describe sends nothing: the set of label values is known at a scrape only.
func (c collector) Describe(chan<- *prometheus.Desc) {}

func (c collector) Collect(ch chan<- prometheus.Metric) {
	s := c.read()
	s.Add(BuildInfo, 1, s.Version)
	for _, v := range s.values {
		m := table[v.id]
		desc := prometheus.NewDesc(m.Name, m.Help, m.Labels, nil)
		metric, err := prometheus.NewConstMetric(desc, m.Type, v.v, v.labels...)
		if err != nil {
			metric = prometheus.NewInvalidMetric(desc, err)
		}
		ch <- metric
	}
}

// WriteText writes s in Prometheus' text exposition format, for node_exporter's textfile collector and for people.
func WriteText(w io.Writer, s Snapshot) error {
	reg := prometheus.NewRegistry()
	if err := reg.Register(Collector(func() Snapshot { return s })); err != nil {
		return fmt.Errorf("register metrics: %w", err)
	}
	families, err := reg.Gather()
	if err != nil {
		return fmt.Errorf("gather metrics: %w", err)
	}
	enc := expfmt.NewEncoder(w, expfmt.NewFormat(expfmt.TypeTextPlain))
	for _, f := range families {
		if err := enc.Encode(f); err != nil {
			return fmt.Errorf("write metrics: %w", err)
		}
	}
	return nil
}
