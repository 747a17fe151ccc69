// Package metrics is the one table of every metric that ebpfprof exposes, and the way
// from a snapshot of values to Prometheus. Adding a metric is adding a row.
package metrics

import (
	"fmt"
	"io"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
)

// A Snapshot is the values of one moment. The zero value is empty.
type Snapshot struct {
	Version string
	values  []value
}

type value struct {
	id        ID
	v         float64
	histogram *Histogram // instead of v, where the row's type is that
	labels    []string
}

// Add enters a value; labels are in the order of the table's names.
func (s *Snapshot) Add(id ID, v float64, labels ...string) {
	s.values = append(s.values, value{id: id, v: v, labels: labels})
}

// AddHistogram enters what a row of that type has: a copy of h.
func (s *Snapshot) AddHistogram(id ID, h Histogram, labels ...string) {
	h.Counts = slices.Clone(h.Counts)
	s.values = append(s.values, value{id: id, histogram: &h, labels: labels})
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
		desc := prometheus.NewDesc(m.Name, m.Help, m.Labels, m.constant())
		metric, err := v.metric(desc, m.Type)
		if err != nil {
			metric = prometheus.NewInvalidMetric(desc, err)
		}
		ch <- metric
	}
}

func (v value) metric(desc *prometheus.Desc, kind prometheus.ValueType) (prometheus.Metric, error) {
	if (v.histogram != nil) != (kind == histogram) {
		return nil, fmt.Errorf("%s: a value of another type than its row", desc)
	}
	if v.histogram == nil {
		return prometheus.NewConstMetric(desc, kind, v.v, v.labels...)
	}
	upTo, count := map[float64]uint64{}, uint64(0)
	for i, n := range v.histogram.Counts {
		count += n
		if i < len(v.histogram.Bounds) {
			upTo[v.histogram.Bounds[i]] = count
		}
	}
	return prometheus.NewConstHistogram(desc, count, v.histogram.Sum, upTo, v.labels...)
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
