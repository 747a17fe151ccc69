package config

import (
	"slices"
	"strings"
)

// EnvPrefix begins the name of every environment variable of the program.
const EnvPrefix = "EBPFPROF_"

// Fields is the table of all keys, in the order of the documentation. The caller owns it.
func Fields() []Field {
	rows := slices.Concat(serverFields(), samplingFields(), counterFields(), memoryFields(), storeFields(),
		pushFields("pyroscope", "Pyroscope"), pushFields("otlp", "OTLP receiver"),
		[]Field{{Key: "push.self_profile", Flag: "self-profile", Restart: true,
			Doc: "send the daemon's own CPU and memory profiles there too, as the service ebpfprof"}}, serviceFields())
	for i, f := range rows {
		if f.Flag == "" {
			rows[i].Flag = strings.NewReplacer(".", "-", "_", "-").Replace(f.Key)
		}
		rows[i].Env = EnvPrefix + strings.ToUpper(strings.ReplaceAll(rows[i].Flag, "-", "_"))
	}
	return rows
}

func serverFields() []Field {
	return []Field{
		{Key: "listen", Arg: "ADDR", Restart: true,
			Doc: "address of the page, the API and /metrics; whoever reaches it sees what runs here"},
		{Key: "web_config_file", Arg: "FILE", Restart: true,
			Doc: "TLS and users for that address, in the format of Prometheus' exporter-toolkit; empty: plain HTTP, no users"},
		{Key: "allowed_hosts", Arg: "HOST,...",
			Doc: "host names by which browsers may call that address, besides its own, localhost and the host of external_url"},
		{Key: "external_url", Arg: "URL",
			Doc: "where users reach the page if a proxy is in front of it"},
		{Key: "log.level", Arg: "LEVEL", Doc: "least severe messages to log: debug, info, warn or error"},
		{Key: "log.format", Arg: "FORMAT",
			Doc: "text, json or auto: text without times in the journal, text otherwise", Restart: true},
	}
}

func samplingFields() []Field {
	return []Field{
		{Key: "sampling.frequency", Flag: "sample-frequency", Arg: "HZ", Restart: true,
			Doc: "samples a second on each CPU, of the clock and of hardware events without a frequency or period of their own"},
		{Key: "sampling.events", Flag: "events", Arg: "EVENT,...", Restart: true,
			Doc: "what to sample, each NAME[@HZ|:PERIOD]; what this machine cannot is told at /api/v1/kinds and left out"},
		{Key: "sampling.window", Flag: "window", Arg: "DURATION", Restart: true,
			Doc: "how much time one stored or sent profile covers, from 1s to 1h"},
		{Key: "sampling.targets.pids", Flag: "pid", Arg: "PID,...", Restart: true,
			Doc: "profile these processes and their children only; give one kind of target"},
		{Key: "sampling.targets.comm", Flag: "comm", Arg: "REGEX", Restart: true,
			Doc: "profile processes and threads only whose name matches"},
		{Key: "sampling.targets.cgroup", Flag: "cgroup", Arg: "PATH", Restart: true,
			Doc: "profile processes in or below this control group only"},
		{Key: "sampling.targets.container", Flag: "container", Arg: "ID|NAME", Restart: true,
			Doc: "profile processes of this container only"},
		{Key: "sampling.targets.unit", Flag: "unit", Arg: "NAME", Restart: true,
			Doc: "profile processes of this systemd unit only"},
		{Key: "sampling.unwind_budget", Flag: "unwind-budget", Arg: "SIZE", Restart: true,
			Doc: "kernel memory for unwind tables; 0: frame pointers only"},
		{Key: "sampling.unwind_cache", Flag: "unwind-cache", Arg: "DIR", Restart: true,
			Doc: "where unwind tables are kept over restarts; empty: nowhere"},
		{Key: "sampling.ring", Flag: "ring-bytes", Arg: "SIZE", Restart: true,
			Doc: "size of the ring between kernel and agent, a power of two; 0: by frequency and number of CPUs"},
	}
}

func memoryFields() []Field {
	return []Field{
		{Key: "memory.go_heap", Flag: "go-heap", Restart: true,
			Doc: "read the heap profiles of Go programs once a window, from outside, for the history; it costs about 1 ms for each 1,000 stacks"},
		{Key: "memory.alloc_budget", Flag: "alloc-budget", Arg: "PERCENT", Restart: true,
			Doc: "what the probes of the event alloc may cost each service on average, of the CPU time that it uses; probes are taken away meanwhile; 0: no limit"},
		{Key: "memory.alloc_period", Flag: "alloc-period", Arg: "SIZE", Restart: true,
			Doc: "for how many allocated bytes the event alloc takes one sample, on average, unless it says so itself (alloc:BYTES)"},
		{Key: "memory.alloc_services", Flag: "alloc-services", Arg: "REGEX,...", Restart: true,
			Doc: "services whose processes the event alloc probes, each an expression that matches anywhere in a name; empty: all targets"},
	}
}

func counterFields() []Field {
	return []Field{
		{Key: "counters.enabled", Flag: "counters", Restart: true,
			Doc: "count perf events by service at context switches, for /metrics; events that the machine cannot count are left out, and cost nothing"},
		{Key: "counters.events", Flag: "counter-events", Arg: "EVENT,...", Restart: true,
			Doc: "the events, by perf's names; each costs time at every switch; also to be had: branches, branch-misses, L1-dcache-loads, L1-dcache-load-misses, the same of L1-icache and LLC, minor-faults, major-faults, context-switches, cpu-migrations"},
	}
}

func storeFields() []Field {
	return []Field{
		{Key: "store.enabled", Restart: true, Doc: "keep a history on disk"},
		{Key: "store.dir", Flag: "store", Arg: "DIR", Restart: true, Doc: "directory of the history"},
		{Key: "store.retention_age", Arg: "DURATION", Restart: true, Doc: "how long profiles are kept; 0: as long as their size allows"},
		{Key: "store.retention_size", Arg: "SIZE", Restart: true, Doc: "how much disk profiles may take, the oldest go first; 0: any"},
	}
}

// pushFields are the keys of one server. Those of HTTP are named as Prometheus names them.
func pushFields(name, server string) []Field {
	key := "push." + name + "."
	return []Field{
		{Key: key + "url", Flag: name, Arg: "URL", Doc: "send profiles to the " + server + " at this URL; empty: do not"},
		{Key: key + "tenant", Flag: name + "-tenant", Arg: "NAME", Doc: "tenant, sent as the header X-Scope-OrgID"},
		{Key: key + "labels", Flag: name + "-labels", Arg: "NAME=VALUE,...", Doc: "labels to add to every profile that is sent"},
		{Key: key + "spool.dir", Flag: name + "-spool", Arg: "DIR",
			Doc: "where profiles wait while the server cannot take them; empty: they are dropped"},
		{Key: key + "spool.max_size", Flag: name + "-spool-max-size", Arg: "SIZE", Doc: "how much disk they may take, the oldest go first"},
		{Key: key + "spool.max_age", Flag: name + "-spool-max-age", Arg: "DURATION",
			Doc: "how long they wait; Pyroscope refuses what is older than an hour"},
		{Key: key + "basic_auth.username", Flag: name + "-basic-auth-username", Arg: "NAME", Doc: "user name for HTTP basic authentication"},
		{Key: key + "basic_auth.username_file", Flag: name + "-basic-auth-username-file", Arg: "FILE", Doc: "file that holds the user name"},
		{Key: key + "basic_auth.password_file", Flag: name + "-basic-auth-password-file", Arg: "FILE", Doc: "file that holds the password"},
		{Key: key + "authorization.type", Flag: name + "-authorization-type", Arg: "TYPE", Doc: "scheme of the header Authorization; empty: Bearer"},
		{Key: key + "authorization.credentials_file", Flag: name + "-authorization-credentials-file", Arg: "FILE",
			Doc: "file that holds the token for the header Authorization"},
		{Key: key + "oauth2", Flag: name + "-oauth2", Arg: "YAML",
			Doc: "OAuth 2.0: client_id, client_secret_file, token_url, scopes, endpoint_params and tls_config"},
		{Key: key + "tls_config.ca_file", Flag: name + "-tls-ca-file", Arg: "FILE", Doc: "certificates to trust instead of the system's"},
		{Key: key + "tls_config.cert_file", Flag: name + "-tls-cert-file", Arg: "FILE", Doc: "certificate to show to the server"},
		{Key: key + "tls_config.key_file", Flag: name + "-tls-key-file", Arg: "FILE", Doc: "key of that certificate"},
		{Key: key + "tls_config.server_name", Flag: name + "-tls-server-name", Arg: "NAME", Doc: "name that the server's certificate must have, if not the URL's"},
		{Key: key + "tls_config.insecure_skip_verify", Flag: name + "-tls-insecure-skip-verify", Doc: "trust any certificate: for experiments only"},
		{Key: key + "tls_config.min_version", Flag: name + "-tls-min-version", Arg: "VERSION", Doc: "oldest TLS version to speak: TLS10, TLS11, TLS12 or TLS13"},
		{Key: key + "tls_config.max_version", Flag: name + "-tls-max-version", Arg: "VERSION", Doc: "newest TLS version to speak"},
		{Key: key + "proxy_url", Flag: name + "-proxy-url", Arg: "URL", Doc: "proxy to go through"},
		{Key: key + "no_proxy", Flag: name + "-no-proxy", Arg: "HOST,...", Doc: "hosts, domains and networks to reach without the proxy"},
		{Key: key + "proxy_from_environment", Flag: name + "-proxy-from-environment", Doc: "take the proxy from HTTP_PROXY, HTTPS_PROXY and NO_PROXY"},
		{Key: key + "follow_redirects", Flag: name + "-follow-redirects", Doc: "follow redirects of the server"},
		{Key: key + "enable_http2", Flag: name + "-enable-http2", Doc: "speak HTTP/2 if the server does"},
		{Key: key + "http_headers", Flag: name + "-http-headers", Arg: "YAML", Doc: "headers to add: {NAME: {values: [...], files: [...]}}"},
	}
}

func serviceFields() []Field {
	return []Field{
		{Key: "max_services", Arg: "N", Doc: "distinct services at one time; processes of further ones are counted as the service other"},
		{Key: "services", Arg: "YAML",
			Doc: "rules that name services, or say how much of them is sampled; the first that matches a process decides"},
		{Key: "relabel_configs", Arg: "YAML",
			Doc: "Prometheus' relabelling of the labels of a process, after the rules; action drop: not profiled"},
	}
}
