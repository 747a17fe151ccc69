package server

import (
	"sync"

	"github.com/ebpfprof/ebpfprof/pkg/metrics"
)

// counts are the server's own counters: rows of the table of metrics by their labels, which are few. It is safe for
// concurrent use; the zero value is empty.
type counts struct {
	mu     sync.Mutex
	values map[countKey]float64
}

type countKey struct {
	id            metrics.ID
	first, second string // labels; "" where the row has fewer
}

func (c *counts) add(id metrics.ID, labels ...string) { c.addN(id, 1, labels...) }

func (c *counts) addN(id metrics.ID, n uint64, labels ...string) {
	key := countKey{id: id}
	if len(labels) > 0 {
		key.first = labels[0]
	}
	if len(labels) > 1 {
		key.second = labels[1]
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.values == nil {
		c.values = make(map[countKey]float64)
	}
	c.values[key] += float64(n)
}

func (c *counts) addTo(s *metrics.Snapshot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, v := range c.values {
		labels := []string{key.first, key.second}
		s.Add(key.id, v, labels[:len(metrics.Table()[key.id].Labels)]...)
	}
}
