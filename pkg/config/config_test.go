package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// mistakes parses a file that has some, and returns each as "LINE KEY".
func mistakes(t *testing.T, file string) (places []string, text string) {
	t.Helper()
	_, err := Parse([]byte(file))
	if err == nil {
		return nil, ""
	}
	problems, ok := errors.AsType[Problems](err)
	if !ok {
		t.Fatalf("Parse: %T is no Problems", err)
	}
	for _, p := range problems {
		places = append(places, fmt.Sprintf("%d %s", p.Line, p.Key))
	}
	return places, err.Error()
}

func TestParse(t *testing.T) {
	c, err := Parse([]byte(`
listen: :9999
allowed_hosts: [profiles.example.org]
log: {level: debug}
sampling:
  frequency: 199
  window: 1m30s
  targets: {comm: ^postgres}
  unwind_budget: 1GiB
store:
  retention_age: 1d12h
  retention_size: 0
push:
  pyroscope:
    url: https://user.example.org:4040/base
    labels: {region: eu, zone: "1"}
    basic_auth: {username: me, password_file: /etc/p}
    tls_config: {min_version: TLS12}
  otlp:
    authorization: {credentials_file: /etc/token}
    http_headers: {X-A: {files: [/etc/a]}}
    enable_http2: false
services:
- match: {executable: /opt/(\w+)/, unit: x}
  name: $1
- match: {comm: noisy}
  sample: 0.25
- match: {comm: worse}
  sample: off
relabel_configs:
- source_labels: [__meta_cgroup, service_name]
  regex: a|b
  target_label: tier
- {action: labeldrop, regex: pod}
`))
	if err != nil {
		t.Fatal(err)
	}
	for _, check := range []struct {
		name      string
		got, want any
	}{
		{"listen", c.Listen, ":9999"},
		{"hosts", c.AllowedHosts, []string{"profiles.example.org"}},
		{"level", c.Log, Log{"debug", "auto"}},
		{"frequency", c.Sampling.Frequency, uint64(199)},
		{"window", c.Sampling.Window, Duration(90 * time.Second)},
		{"comm", c.Sampling.Targets, Targets{Comm: "^postgres"}},
		{"budget", c.Sampling.UnwindBudget, Size(1 << 30)},
		{"age", c.Store.RetentionAge, Duration(36 * time.Hour)},
		{"size", c.Store.RetentionSize, Size(0)},
		{"untouched", c.Store.Dir, "/var/lib/ebpfprof"},
		{"labels", c.Push.Pyroscope.Labels, map[string]string{"region": "eu", "zone": "1"}},
		{"password file", c.Push.Pyroscope.HTTP.BasicAuth.PasswordFile, "/etc/p"},
		{"redirects", c.Push.Pyroscope.HTTP.FollowRedirects, true},
		{"http2", c.Push.OTLP.HTTP.EnableHTTP2, false},
		{"scheme", c.Push.OTLP.HTTP.Authorization.Type, "Bearer"},
		{"header", c.Push.OTLP.HTTP.HTTPHeaders.Headers["X-A"].Files, []string{"/etc/a"}},
		{"rules", c.Services, []Rule{
			{Match{Executable: `/opt/(\w+)/`, Unit: "x"}, "$1", 1}, {Match{Comm: "noisy"}, "", 0.25}, {Match{Comm: "worse"}, "", 0}}},
		{"relabelling", len(c.RelabelConfigs), 2},
		{"action", string(c.RelabelConfigs[0].Action), "replace"},
		{"regex", c.RelabelConfigs[0].Regex.String(), "a|b"},
	} {
		if !reflect.DeepEqual(check.got, check.want) {
			t.Errorf("%s: %v, want %v", check.name, check.got, check.want)
		}
	}
	again, err := Parse([]byte(printed(t, c)))
	if err != nil || printed(t, again) != printed(t, c) {
		t.Errorf("printed and read back: %v\n%s\n%s", err, printed(t, c), printed(t, again))
	}
	if changed := Changed(c, again); len(changed) > 0 {
		t.Errorf("read back, %v differ", changed)
	}
}

func TestParseMistakes(t *testing.T) {
	for _, tt := range []struct {
		file   string
		places []string
		says   []string
	}{
		{"", nil, nil},
		{"# nothing\n", nil, nil},
		{"store:\nlog:\n", nil, nil},
		{"store:\n  dirr: /x\n", []string{"2 store.dirr"}, []string{`did you mean "dir"?`}},
		{"frequency: 9\n", []string{"1 frequency"}, []string{`"sampling.frequency"`}},
		{"sample_frequency: 9\n", []string{"1 sample_frequency"}, []string{`"sampling.frequency"`}},
		{"store:\n  zzzzzz: 1\n", []string{"2 store.zzzzzz"}, []string{"known here: enabled, dir, retention_age"}},
		{"listen: a:1\nlisten: b:1\n", []string{"2 listen"}, []string{"first in line 1"}},
		{"log: {}\nlisten: a\n", []string{"2 listen"}, []string{"HOST:PORT"}},
		{"sampling:\n  frequency: many\n  window: 3\nlog:\n  level: loud\n  colour: red\n",
			[]string{"2 sampling.frequency", "3 sampling.window", "5 log.level", "6 log.colour"},
			[]string{"no whole number", "10s", "debug, info, warn, error", "unknown key"}},
		{"sampling: 7\n", []string{"1 sampling"}, []string{"want keys and values"}},
		{"- a\n", []string{"1 "}, []string{"want keys and values, not a list"}},
		{"listen: [a]\n", []string{"1 listen"}, []string{"want text, not a list"}},
		{"allowed_hosts: a\n", []string{"1 allowed_hosts"}, []string{"want a list"}},
		{"allowed_hosts:\n- ok\n- http://no\n", []string{"3 allowed_hosts[1]"}, []string{"no host name"}},
		{"a: [\n", []string{"1 "}, []string{"no valid YAML"}},
		{"listen: :1\n---\nlisten: :2\n", []string{"2 "}, []string{"second document"}},
		{"sampling:\n  targets:\n    comm: a\n    unit: b\n", []string{"2 sampling.targets"}, []string{"comm and unit"}},
		{"sampling: {ring: 100000, unwind_budget: 64, unwind_cache: x}\n",
			[]string{"1 sampling.unwind_budget", "1 sampling.ring", "1 sampling.unwind_cache"}, []string{"power of two", "in bytes", "absolute"}},
		{"services:\n- match: {comm: '('}\n  name: x\n- name: y\n- match: {comm: x}\n- match: {exe: x}\n  sample: 2\n",
			[]string{"2 services[0].match.comm", "4 services[1].match", "5 services[2]", "6 services[3].match.exe", "7 services[3].sample"},
			[]string{"missing closing )", "changes nothing", "known here: service, executable", "no fraction"}},
		{"relabel_configs:\n- action: dorp\n- action: hashmod\n- regex: '('\n- source_label: [a]\n  target_label: b\n",
			[]string{"2 relabel_configs[0].action", "3 relabel_configs[1]", "4 relabel_configs[2].regex", "5 relabel_configs[3].source_label"},
			[]string{"unknown relabel action", "modulus", "missing closing", `did you mean "source_labels"`}},
		{"relabel_configs:\n-\n", []string{"2 relabel_configs[0]"}, []string{"empty entry"}},
		{"push:\n  pyroscope:\n    url: ftp://x\n    labels: {a-b: c, __x: y, service_name: z, d: ''}\n    tls_config: {cert_file: /a}\n",
			[]string{"3 push.pyroscope.url", "4 push.pyroscope.labels", "4 push.pyroscope.labels", "4 push.pyroscope.labels", "4 push.pyroscope.labels.d", "5 push.pyroscope.tls_config"},
			[]string{"https://HOST", "name of a label", "service_name", "key"}},
		{"push:\n  otlp:\n    proxy_url: 'http://[x'\n", []string{"3 push.otlp.proxy_url"}, []string{"no URL"}},
		{"push:\n  otlp:\n    tls_config: {min_version: SSL3}\n", []string{"3 push.otlp.tls_config.min_version"}, []string{"unknown TLS version"}},
		{"memory: {alloc_budget: 200, alloc_period: 1KiB, alloc_services: ['(']}\n",
			[]string{"1 memory.alloc_budget", "1 memory.alloc_period", "1 memory.alloc_services[0]"},
			[]string{"no percentage", "4KiB", "missing closing"}},
		{"max_services: 0\n", []string{"1 max_services"}, []string{"want 1 to"}},
	} {
		places, text := mistakes(t, tt.file)
		same := len(places) == len(tt.places)
		for _, p := range tt.places {
			same = same && strings.Count("\n"+strings.Join(places, "\n")+"\n", "\n"+p+"\n") > 0
		}
		if !same {
			t.Errorf("%q: problems at %q, want %q\n%s", tt.file, places, tt.places, text)
		}
		for _, part := range tt.says {
			if !strings.Contains(text, part) {
				t.Errorf("%q: does not say %q:\n%s", tt.file, part, text)
			}
		}
	}
}

// Secrets are refused wherever Prometheus' HTTP settings have one, and never repeated.
func TestSecretsAreRefused(t *testing.T) {
	const secret = "hunter2"
	for settings, want := range map[string]string{
		"basic_auth: {username: a, password: hunter2}":                   "password_file",
		"authorization: {credentials: hunter2}":                          "credentials_file",
		"bearer_token: hunter2":                                          "authorization.credentials_file",
		"oauth2: {client_id: a, token_url: b, client_secret: hunter2}":   "client_secret_file",
		"oauth2: {client_id: a, client_certificate_key: hunter2}":        "client_certificate_key_file",
		"tls_config: {key: hunter2}":                                     "key_file",
		"oauth2: {client_id: a, tls_config: {key: hunter2}}":             "key_file",
		"http_headers: {X-A: {secrets: [hunter2]}}":                      "files",
		"proxy_connect_header: {Proxy-Authorization: [hunter2]}":         "no other place",
		"basic_auth: {password_ref: hunter2}":                            "password_file",
		"proxy_url: http://me:hunter2@proxy":                             "proxy_from_environment",
		"proxy_url: 'http://me:hunter2@pro xy'":                          "no URL",
		"url: https://me:hunter2@server":                                 "basic_auth",
		"url: 'https://me:hunter2@ser ver'":                              "no URL",
		"tls_config: {cert_file: a, key_file: b, key: hunter2}":          "key_file",
		"basic_auth: {username: a, password_file: b, password: hunter2}": "password_file",
	} {
		c, err := Parse([]byte("push:\n  pyroscope:\n    " + settings + "\n"))
		if err == nil {
			t.Errorf("%s: accepted", settings)
			continue
		}
		if s := err.Error(); !strings.Contains(s, want) || strings.Contains(s, secret) || !strings.Contains(s, "line 3") {
			t.Errorf("%s: %s", settings, s)
		}
		if !strings.Contains(settings, "_ref") && strings.Contains(printed(t, c), secret+"\n") {
			t.Errorf("%s: printed:\n%s", settings, printed(t, c))
		}
	}
}

// A file whose aliases make it large costs little and is refused.
func TestAliasesAreBounded(t *testing.T) {
	var b strings.Builder
	b.WriteString("allowed_hosts: [&a0 x]\nservices:\n")
	for i := range 30 {
		fmt.Fprintf(&b, "- &a%d [%s]\n", i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i), 9), ","))
	}
	if places, _ := mistakes(t, b.String()); len(places) == 0 {
		t.Error("accepted")
	}
	if _, text := mistakes(t, strings.Repeat("#", maxFile+1)); !strings.Contains(text, "longer") {
		t.Error("a long file is accepted")
	}
	flat := "&h [" + strings.Repeat("a,", 999) + "a]"
	list := "relabel_configs:\n- {source_labels: " + flat + "}\n" + strings.Repeat("- {source_labels: *h}\n", 200)
	if _, text := mistakes(t, list); !strings.Contains(text, "aliases included") {
		t.Errorf("200,000 labels are accepted: %.200s", text)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(example()))
	f.Add([]byte(uncomment(example())))
	f.Add([]byte("services:\n- match: {comm: (x)}\n  name: $1\n  sample: off\nrelabel_configs:\n- {action: drop, regex: a}\n"))
	f.Add([]byte("push: {otlp: {http_headers: {a: {files: [b]}}, oauth2: {claims: {a: [1]}}, proxy_connect_header: {a: [b]}}}"))
	f.Add([]byte("a: &a [*a]\n"))
	f.Add([]byte("store: &s {dir: /x}\n<<: *s\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Parse(b)
		if problems, ok := errors.AsType[Problems](err); err != nil && (!ok || len(problems) == 0) {
			t.Fatalf("%T: %v", err, err)
		}
		if err != nil {
			return
		}
		text := printed(t, c)
		again, err := Parse([]byte(text))
		if err != nil || printed(t, again) != text {
			t.Errorf("%q: printed and read back: %v\n%s", b, err, text)
		}
	})
}

// What is not counted by default can be asked for all the same.
func TestEveryCounterEventIsAllowed(t *testing.T) {
	allowed := counterEvents()
	for _, name := range []string{"cycles", "branch-misses", "L1-dcache-loads", "L1-icache-load-misses", "LLC-load-misses", "minor-faults"} {
		if !slices.Contains(allowed, name) {
			t.Errorf("%s cannot be counted by service", name)
		}
	}
}
