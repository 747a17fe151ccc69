package config

import (
	"fmt"
	"net"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/prometheus/common/model"
)

const (
	maxFrequency = 10_000 // ten times what costs a CPU noticeably
	maxEvents    = 16     // of the kernel side
	minWindow    = Duration(time.Second)
	maxWindow    = Duration(time.Hour)
	minBudget    = 1 << 20
	maxBudget    = 16 << 30
	minRing      = 64 << 10 // the largest page size
	maxRing      = 1 << 30
	maxServices  = 100_000
	// Of the kernel side: below a page nearly all allocations would be sampled.
	minAllocPeriod = 4 << 10
	maxAllocPeriod = 1 << 38
	maxRules       = 10_000
	maxLabel       = 2048 // bytes of a label's value that Pyroscope takes
)

// Validate checks values against their limits and each other. The error is of type Problems. As Prometheus does with
// HTTP settings, it fills in the scheme of an authorization that has none.
func (c *Config) Validate() error {
	var p Problems
	c.validateServer(&p)
	c.Sampling.validate(&p)
	c.Memory.validate(&p)
	c.Counters.validate(&p)
	c.Store.validate(&p)
	c.Push.Pyroscope.validate(&p, "push.pyroscope")
	c.Push.OTLP.validate(&p, "push.otlp")
	c.validateServices(&p)
	return p.err()
}

func (c *Config) validateServer(p *Problems) {
	if _, port, err := net.SplitHostPort(c.Listen); err != nil {
		p.add(0, "listen", "%q is no address: write HOST:PORT, such as 127.0.0.1:9780 or :9780", c.Listen)
	} else if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		p.add(0, "listen", "%q is no port number", port)
	}
	for i, host := range c.AllowedHosts {
		if host == "" || strings.ContainsAny(host, "/ \t\r\n@*") {
			p.add(0, fmt.Sprintf("allowed_hosts[%d]", i), "%q is no host name", host)
		}
	}
	if c.ExternalURL != "" {
		validateURL(p, "external_url", c.ExternalURL)
	}
	oneOf(p, "log.level", c.Log.Level, "debug", "info", "warn", "error")
	oneOf(p, "log.format", c.Log.Format, "auto", "text", "json")
}

func oneOf(p *Problems, key, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		p.add(0, key, "%q is none of %s", value, strings.Join(allowed, ", "))
	}
}

func (s Sampling) validate(p *Problems) {
	if s.Frequency < 1 || s.Frequency > maxFrequency {
		p.add(0, "sampling.frequency", "%d: want 1 to %d", s.Frequency, maxFrequency)
	}
	if len(s.Events) == 0 || len(s.Events) > maxEvents {
		p.add(0, "sampling.events", "%d events: want 1 to %d", len(s.Events), maxEvents)
	}
	for i, e := range s.Events {
		if e == "" || strings.ContainsAny(e, ", \t\r\n") || slices.Contains(s.Events[:i], e) {
			p.add(0, fmt.Sprintf("sampling.events[%d]", i), "%q: want NAME, NAME@HZ or NAME:PERIOD, each once", e)
		}
	}
	if s.Window < minWindow || s.Window > maxWindow {
		p.add(0, "sampling.window", "%s: want %s to %s", s.Window, minWindow, maxWindow)
	}
	if s.UnwindBudget != 0 && (s.UnwindBudget < minBudget || s.UnwindBudget > maxBudget) {
		p.add(0, "sampling.unwind_budget", "%s: want 0, or %s to %s; a number without a unit is in bytes", s.UnwindBudget, Size(minBudget), Size(maxBudget))
	}
	if s.Ring != 0 && (s.Ring < minRing || s.Ring > maxRing || s.Ring&(s.Ring-1) != 0) {
		p.add(0, "sampling.ring", "%s: want 0, or a power of two from %s to %s", s.Ring, Size(minRing), Size(maxRing))
	}
	if s.UnwindCache != "" {
		validateDir(p, "sampling.unwind_cache", s.UnwindCache)
	}
	t := s.Targets
	var given []string
	for _, kind := range []struct {
		name string
		set  bool
	}{{"pids", len(t.PIDs) > 0}, {"comm", t.Comm != ""}, {"cgroup", t.Cgroup != ""}, {"container", t.Container != ""}, {"unit", t.Unit != ""}} {
		if kind.set {
			given = append(given, kind.name)
		}
	}
	if len(given) > 1 {
		p.add(0, "sampling.targets", "%s: give one kind of target", strings.Join(given, " and "))
	}
	for i, pid := range t.PIDs {
		if pid < 1 {
			p.add(0, fmt.Sprintf("sampling.targets.pids[%d]", i), "%d is no process", pid)
		}
	}
	validateRegexp(p, "sampling.targets.comm", t.Comm)
}

func (m Memory) validate(p *Problems) {
	if m.AllocPeriod < minAllocPeriod || m.AllocPeriod > maxAllocPeriod {
		p.add(0, "memory.alloc_period", "%s: want %s to %s", m.AllocPeriod, Size(minAllocPeriod), Size(maxAllocPeriod))
	}
	for i, e := range m.AllocServices {
		validateRegexp(p, fmt.Sprintf("memory.alloc_services[%d]", i), e)
	}
}

// counterEvents are the events that have a metric.
func counterEvents() []string {
	return append(slices.Clone(Default().Counters.Events), "branches", "branch-misses",
		"L1-dcache-loads", "L1-dcache-load-misses", "L1-icache-loads", "L1-icache-load-misses",
		"LLC-loads", "LLC-load-misses", "minor-faults", "major-faults", "context-switches", "cpu-migrations")
}

func (c Counters) validate(p *Problems) {
	if c.Enabled && len(c.Events) == 0 {
		p.add(0, "counters.events", "empty: name one, or set counters.enabled to false")
	}
	for i, e := range c.Events {
		key := fmt.Sprintf("counters.events[%d]", i)
		oneOf(p, key, e, counterEvents()...)
		if slices.Index(c.Events, e) != i {
			p.add(0, key, "%q is there twice", e)
		}
	}
}

func (s Store) validate(p *Problems) {
	if s.Enabled {
		validateDir(p, "store.dir", s.Dir)
	}
	if s.RetentionAge != 0 && s.RetentionAge < Duration(time.Minute) {
		p.add(0, "store.retention_age", "%s: want 0 or at least 1m", s.RetentionAge)
	}
	if s.RetentionSize != 0 && s.RetentionSize < minBudget {
		p.add(0, "store.retention_size", "%s: want 0 or at least %s", s.RetentionSize, Size(minBudget))
	}
}

func (t *Target) validate(p *Problems, key string) {
	if t.URL != "" {
		validateURL(p, key+".url", t.URL)
	}
	if len(t.Tenant) > 150 || strings.ContainsFunc(t.Tenant, func(r rune) bool { return r < ' ' || r > '~' }) {
		p.add(0, key+".tenant", "want at most 150 printable ASCII characters, as a header takes them")
	}
	for name, value := range t.Labels {
		switch {
		case !model.LegacyValidation.IsValidLabelName(name) || strings.HasPrefix(name, "__"):
			p.add(0, key+".labels", "%q is no name of a label: want letters, digits and _, not beginning with a digit or __", name)
		case name == "service_name":
			p.add(0, key+".labels", "service_name says whose profile it is: use services or relabel_configs")
		case value == "" || len(value) > maxLabel || !utf8.ValidString(value):
			p.add(0, key+".labels."+name, "want 1 to %d bytes of UTF-8", maxLabel)
		}
	}
	if t.Spool.Dir != "" {
		validateDir(p, key+".spool.dir", t.Spool.Dir)
		if t.Spool.MaxSize < minBudget {
			p.add(0, key+".spool.max_size", "%s: want at least %s", t.Spool.MaxSize, Size(minBudget))
		}
		if t.Spool.MaxAge < Duration(time.Minute) {
			p.add(0, key+".spool.max_age", "%s: want at least 1m", t.Spool.MaxAge)
		}
	}
	validateHTTP(p, key, &t.HTTP)
}

func (c *Config) validateServices(p *Problems) {
	if c.MaxServices < 1 || c.MaxServices > maxServices {
		p.add(0, "max_services", "%d: want 1 to %d", c.MaxServices, maxServices)
	}
	if len(c.Services) > maxRules || len(c.RelabelConfigs) > maxRules {
		p.add(0, "services", "more than %d rules", maxRules)
	}
	for i, r := range c.Services {
		key := fmt.Sprintf("services[%d]", i)
		if r.Match == (Match{}) {
			p.add(0, key+".match", "empty: name at least one of %s", strings.Join(keysOf(matchType()), ", "))
		}
		for _, m := range r.Match.fields() {
			validateRegexp(p, key+".match."+m.key, m.expression)
		}
		if r.Name == "" && r.Sample == 1 {
			p.add(0, key, "changes nothing: give it a name or a sample")
		}
	}
	for i, r := range c.RelabelConfigs {
		if err := r.Validate(model.LegacyValidation); err != nil {
			p.add(0, fmt.Sprintf("relabel_configs[%d]", i), "%v", err)
		}
	}
}

func validateRegexp(p *Problems, key, expression string) {
	if _, err := regexp.Compile(expression); err != nil {
		p.add(0, key, "%v", err)
	}
}

func validateDir(p *Problems, key, dir string) {
	if !path.IsAbs(dir) {
		p.add(0, key, "%q: want an absolute path", dir)
	}
}

// validateURL never prints the URL: it may hold a password.
func validateURL(p *Problems, key, text string) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		p.add(0, key, "no URL: write http://HOST or https://HOST")
	case u.User != nil:
		p.add(0, key, "has a user or password in it: use basic_auth with password_file")
	case u.RawQuery != "" || u.Fragment != "":
		p.add(0, key, "has a query or fragment, which are not sent")
	}
}
