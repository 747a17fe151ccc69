// Package config is the configuration of the daemon: its keys, their defaults, the file they are read from, and what
// makes a value wrong. One table, Fields, names each key in the file, as a flag and as an environment variable, and
// says what it means; the documentation and the example file are generated from it.
//
// The package takes bytes and strings: it opens no file and reads neither flags nor the environment.
package config

import (
	"time"

	promconfig "github.com/prometheus/common/config"
	"github.com/prometheus/prometheus/model/relabel"
	"go.yaml.in/yaml/v3"
)

// A Config is the whole configuration. Its zero value is not usable: start from Default.
type Config struct {
	Listen         string            `yaml:"listen"`
	WebConfigFile  string            `yaml:"web_config_file"`
	AllowedHosts   []string          `yaml:"allowed_hosts"`
	ExternalURL    string            `yaml:"external_url"`
	Log            Log               `yaml:"log"`
	Sampling       Sampling          `yaml:"sampling"`
	Memory         Memory            `yaml:"memory"`
	Counters       Counters          `yaml:"counters"`
	Store          Store             `yaml:"store"`
	Push           Push              `yaml:"push"`
	MaxServices    int               `yaml:"max_services"`
	Services       []Rule            `yaml:"services"`
	RelabelConfigs []*relabel.Config `yaml:"relabel_configs"`
}

// Log says what is logged and how.
type Log struct {
	Level  string `yaml:"level"`  // debug, info, warn or error
	Format string `yaml:"format"` // auto, text or json
}

// Sampling says what is sampled, and what that may cost.
type Sampling struct {
	Frequency    uint64   `yaml:"frequency"` // Hz on each CPU
	Events       []string `yaml:"events"`    // NAME[@HZ|:PERIOD]
	Window       Duration `yaml:"window"`
	Targets      Targets  `yaml:"targets"`
	UnwindBudget Size     `yaml:"unwind_budget"` // kernel memory; 0: frame pointers only
	UnwindCache  string   `yaml:"unwind_cache"`  // "": keep none
	Ring         Size     `yaml:"ring"`          // 0: by rate and number of CPUs
}

// Memory says what is read of processes' memory once a window, beside how much they have, and how the event alloc samples.
type Memory struct {
	GoHeap        bool     `yaml:"go_heap"`
	AllocBudget   Percent  `yaml:"alloc_budget"` // of the CPU time of the targets; 0: no limit
	AllocPeriod   Size     `yaml:"alloc_period"`
	AllocServices []string `yaml:"alloc_services"` // regular expressions; empty: all
}

// Counters says which perf events are counted by service.
type Counters struct {
	Enabled bool     `yaml:"enabled"`
	Events  []string `yaml:"events"`
}

// Targets says which processes are profiled. At most one field is set; the zero value is all of them.
type Targets struct {
	PIDs      []int  `yaml:"pids"`
	Comm      string `yaml:"comm"` // regular expression, matches anywhere
	Cgroup    string `yaml:"cgroup"`
	Container string `yaml:"container"`
	Unit      string `yaml:"unit"`
}

// Store is the history on disk.
type Store struct {
	Enabled       bool     `yaml:"enabled"`
	Dir           string   `yaml:"dir"`
	RetentionAge  Duration `yaml:"retention_age"`  // 0: no bound
	RetentionSize Size     `yaml:"retention_size"` // 0: no bound
}

// Push names the servers that profiles are sent to.
type Push struct {
	Pyroscope Target `yaml:"pyroscope"`
	OTLP      Target `yaml:"otlp"`
	// SelfProfile sends the Go runtime's own profiles of the daemon to the same servers.
	SelfProfile bool `yaml:"self_profile"`
}

// A Target is one server that profiles are sent to. No field holds a secret: Validate refuses them.
type Target struct {
	URL    string                      `yaml:"url"` // "": nothing is sent
	Tenant string                      `yaml:"tenant"`
	Labels map[string]string           `yaml:"labels"`
	HTTP   promconfig.HTTPClientConfig `yaml:",inline"`
	Spool  Spool                       `yaml:"spool"`
}

// A Spool keeps on disk what a server could not take.
type Spool struct {
	Dir     string   `yaml:"dir"` // "": keep nothing
	MaxSize Size     `yaml:"max_size"`
	MaxAge  Duration `yaml:"max_age"`
}

// A Rule names, thins out or leaves out the processes that it matches.
type Rule struct {
	Match  Match    `yaml:"match"`
	Name   string   `yaml:"name"`   // template with $1, ${group} and ${field}; "": the name without rules
	Sample Fraction `yaml:"sample"` // of the samples, what is kept; 0: not profiled
}

// A Match is a set of regular expressions, each of which may match anywhere in what it is compared with. Those that
// are empty match everything.
type Match struct {
	Service    string `yaml:"service,omitempty"` // the name without rules
	Executable string `yaml:"executable,omitempty"`
	Comm       string `yaml:"comm,omitempty"`
	Cgroup     string `yaml:"cgroup,omitempty"`
	Container  string `yaml:"container,omitempty"`
	Unit       string `yaml:"unit,omitempty"`
	Namespace  string `yaml:"namespace,omitempty"`
	Pod        string `yaml:"pod,omitempty"`
}

// Default is a working set-up that sends nothing anywhere.
func Default() Config {
	const mib = 1 << 20
	target := func(name string) Target {
		return Target{
			HTTP: promconfig.DefaultHTTPClientConfig,
			// Pyroscope refuses what is older than an hour; what is sent must still arrive.
			Spool: Spool{Dir: "/var/lib/ebpfprof/spool/" + name, MaxSize: 256 * mib, MaxAge: Duration(55 * time.Minute)},
		}
	}
	return Config{
		Listen: "127.0.0.1:9780",
		Log:    Log{Level: "info", Format: "auto"},
		Sampling: Sampling{
			Frequency: 99, Events: []string{"cpu", "page-faults:100", "off-cpu"}, Window: Duration(10 * time.Second),
			UnwindBudget: 64 * mib, UnwindCache: "/var/cache/ebpfprof/unwind",
		},
		Memory: Memory{GoHeap: true, AllocBudget: 1, AllocPeriod: 512 << 10},
		Counters: Counters{Enabled: true, Events: []string{
			"cycles", "instructions", "cache-references", "cache-misses",
		}},
		Store: Store{
			Enabled: true, Dir: "/var/lib/ebpfprof",
			RetentionAge: Duration(7 * 24 * time.Hour), RetentionSize: 1024 * mib,
		},
		Push:        Push{Pyroscope: target("pyroscope"), OTLP: target("otlp")},
		MaxServices: 1000,
	}
}

// YAML prints the configuration as a file that Parse reads back to the same. It never prints a secret.
func (c Config) YAML() ([]byte, error) { return yaml.Marshal(c) }
