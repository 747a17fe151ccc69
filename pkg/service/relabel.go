package service

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/prometheus/common/model"
	promlabels "github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
)

const (
	// maxLabels is what Pyroscope takes for a series, less those that pushing adds.
	maxLabels = 20
	// maxValue is beyond the names of files, units and pods.
	maxValue = 512 // bytes

	serviceLabel = "service_name"
)

// ownLabels are the labels of a process's profiles before relabelling.
func (f Facts) ownLabels() labels {
	return labels{"namespace": f.Namespace, "pod": f.Pod, "container": f.container(), "unit": f.Unit}
}

// metaLabels exist during relabelling only.
func (f Facts) metaLabels() labels {
	return labels{
		"__meta_process_executable":        f.Executable,
		"__meta_process_comm":              f.Comm,
		"__meta_cgroup":                    f.Cgroup,
		"__meta_container_id":              f.ContainerID,
		"__meta_container_name":            f.ContainerName,
		"__meta_systemd_unit":              f.Unit,
		"__meta_kubernetes_namespace":      f.Namespace,
		"__meta_kubernetes_pod_name":       f.Pod,
		"__meta_kubernetes_pod_uid":        f.PodUID,
		"__meta_kubernetes_container_name": f.PodContainer,
	}
}

// relabelled returns a process's labels, and whether it is profiled; it may rename the service.
func (r *Rules) relabelled(f Facts, id *Identity) (labels, bool) {
	all := f.ownLabels()
	if len(r.relabel) > 0 {
		maps.Copy(all, f.metaLabels())
		all[serviceLabel] = id.Service
		builder := promlabels.NewBuilder(promlabels.FromMap(all))
		if !relabel.ProcessBuilder(builder, r.relabel...) {
			return nil, false
		}
		all = builder.Labels().Map()
		if name := strings.TrimSpace(all[serviceLabel]); name != "" {
			id.Service = name
		}
		delete(all, serviceLabel)
	}
	maps.DeleteFunc(all, func(name, value string) bool {
		return value == "" || strings.HasPrefix(name, "__") || !model.LegacyValidation.IsValidLabelName(name)
	})
	if len(all) > maxLabels {
		names := slices.Sorted(maps.Keys(all))
		for _, name := range names[maxLabels:] {
			delete(all, name)
		}
	}
	for name, value := range all {
		all[name] = bounded(value)
	}
	return all, true
}

// bounded cuts text to what a label may have.
func bounded(s string) string {
	if len(s) <= maxValue {
		return s
	}
	end := maxValue
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}

// seriesKey is one string for a service and its labels. No label has a zero byte.
func seriesKey(service string, l labels) string {
	var b strings.Builder
	b.WriteString(service)
	for _, name := range slices.SortedFunc(maps.Keys(l), cmp.Compare[string]) {
		b.WriteString("\x00" + name + "\x00" + l[name])
	}
	return b.String()
}
