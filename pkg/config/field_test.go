package config

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// filled returns a value for each field that is not its default.
func filled() map[string]string {
	values := map[string]string{
		"listen": "0.0.0.0:1", "web_config_file": "/w", "allowed_hosts": "[a, b]", "external_url": "https://x",
		"log.level": "warn", "log.format": "json", "sampling.frequency": "49", "sampling.events": "[cpu, cycles@49]", "sampling.window": "1m",
		"sampling.targets.pids": "[1, 2]", "sampling.targets.comm": "a,b", "sampling.targets.cgroup": "/x",
		"sampling.targets.container": "c", "sampling.targets.unit": "u", "sampling.unwind_budget": "1MiB",
		"sampling.unwind_cache": "", "sampling.ring": "1MiB",
		"counters.enabled": "false", "counters.events": "[minor-faults]", "memory.go_heap": "false", "store.enabled": "false", "store.dir": "/s",
		"store.retention_age": "1h", "store.retention_size": "2GiB", "max_services": "7", "push.self_profile": "true",
		"memory.alloc_budget": "2.5%", "memory.alloc_period": "64KiB", "memory.alloc_services": "[a, b]",
		"services":        `[{match: {comm: a}, name: b, sample: "off"}]`,
		"relabel_configs": "[{source_labels: [a], separator: ;, regex: b, target_label: c, replacement: $1, action: replace}]",
	}
	for _, target := range []string{"pyroscope", "otlp"} {
		for key, value := range map[string]string{
			"url": "http://p", "tenant": "t", "labels": "{a: b}", "spool.dir": "/d", "spool.max_size": "1GiB", "spool.max_age": "1m",
			"basic_auth.username": "u", "basic_auth.username_file": "/u", "basic_auth.password_file": "/p",
			"authorization.type": "Token", "authorization.credentials_file": "/c",
			"oauth2":             "{client_id: a, client_secret_file: /s, token_url: 'http://t'}",
			"tls_config.ca_file": "/ca", "tls_config.cert_file": "/cert", "tls_config.key_file": "/key", "tls_config.server_name": "n",
			"tls_config.insecure_skip_verify": "true", "tls_config.min_version": "TLS12", "tls_config.max_version": "TLS13",
			"proxy_url": "http://proxy", "no_proxy": "a,b", "proxy_from_environment": "true", "follow_redirects": "false",
			"enable_http2": "false", "http_headers": "{X-A: {values: [b]}}",
		} {
			values["push."+target+"."+key] = value
		}
	}
	return values
}

// Every row of the table is a key, can be set and read back, and is documented.
func TestFields(t *testing.T) {
	values, flags := filled(), map[string]bool{}
	for _, f := range Fields() {
		value, ok := values[f.Key]
		if !ok {
			t.Errorf("%s: no value to try", f.Key)
			continue
		}
		c := Default()
		if err := f.Set(&c, value); err != nil {
			t.Errorf("%s: Set(%q): %v", f.Key, value, err)
		}
		if got := f.Get(c); got != value || got == f.Get(Default()) {
			t.Errorf("%s: Get after Set(%q) = %q", f.Key, value, got)
		}
		if changed := Changed(Default(), c); len(changed) != 1 || changed[0].Key != f.Key {
			t.Errorf("%s: Changed = %v", f.Key, changed)
		}
		if f.Doc == "" || strings.HasSuffix(f.Doc, ".") || (f.Arg == "") != f.IsBool() {
			t.Errorf("%s: documentation of %+v", f.Key, f)
		}
		if flags[f.Flag] || strings.ToLower(f.Flag) != f.Flag || strings.Contains(f.Flag, "_") {
			t.Errorf("%s: flag %q", f.Key, f.Flag)
		}
		flags[f.Flag] = true
	}
	for _, fixed := range []string{"listen", "store", "pyroscope", "otlp", "comm", "cgroup", "container", "unit", "pid", "sample-frequency"} {
		if !flags[fixed] {
			t.Errorf("there is no --%s", fixed)
		}
	}
}

// Every key of Config is in the table, but for those that are refused or stand for others.
func TestFieldsAreAllKeys(t *testing.T) {
	var missing []string
	rows := Fields()
	var walk func(t reflect.Type, prefix string)
	walk = func(t reflect.Type, prefix string) {
		for _, key := range keysOf(t) {
			path := strings.TrimPrefix(prefix+"."+key, ".")
			if slices.ContainsFunc(rows, func(f Field) bool { return f.Key == path }) {
				continue
			}
			v, _ := fieldOf(reflect.New(t).Elem(), key)
			typ := v.Type()
			if typ.Kind() == reflect.Pointer {
				typ = typ.Elem()
			}
			if isMapping(typ) {
				walk(typ, path)
				continue
			}
			missing = append(missing, path)
		}
	}
	walk(reflect.TypeFor[Config](), "")
	refused := []string{"basic_auth.password", "authorization.credentials", "bearer_token", "bearer_token_file",
		"tls_config.ca", "tls_config.cert", "tls_config.key", "proxy_connect_header"}
	for _, path := range missing {
		if !slices.ContainsFunc(refused, func(r string) bool { return strings.HasSuffix(path, r) }) {
			t.Errorf("%s has no row in Fields", path)
		}
	}
}

func TestSetShortForms(t *testing.T) {
	for key, texts := range map[string][2]string{
		"allowed_hosts":         {" a, b:c ,it's", "[a, 'b:c', it's]"},
		"sampling.targets.pids": {"1,2", "[1, 2]"},
		"push.otlp.labels":      {"a=b, c=d=e: f", "{a: b, c: 'd=e: f'}"},
	} {
		i := slices.IndexFunc(Fields(), func(f Field) bool { return f.Key == key })
		f, c := Fields()[i], Default()
		if err := f.Set(&c, texts[0]); err != nil || f.Get(c) != texts[1] {
			t.Errorf("%s: Set(%q): %v, Get = %q, want %q", key, texts[0], err, f.Get(c), texts[1])
		}
		if err := f.Set(&c, ""); err != nil || f.Get(c) != "" {
			t.Errorf("%s: Set(empty): %v, %q", key, err, f.Get(c))
		}
	}
}

func TestLoadPrecedence(t *testing.T) {
	env := map[string]string{"EBPFPROF_LISTEN": ":2", "EBPFPROF_STORE": "/env", "EBPFPROF_UNWIND_CACHE": ""}
	c, err := Load(Sources{
		File:      []byte("listen: :1\nstore: {dir: /file}\nlog: {level: warn}\nsampling: {unwind_cache: /file}\n"),
		LookupEnv: func(name string) (string, bool) { s, ok := env[name]; return s, ok },
		Flags:     map[string]string{"listen": ":3"},
	})
	if err != nil || c.Listen != ":3" || c.Store.Dir != "/env" || c.Log.Level != "warn" || c.Sampling.UnwindCache != "" {
		t.Errorf("Load = %+v, %v", c, err)
	}
	env = map[string]string{"EBPFPROF_WINDOW": "soon", "EBPFPROF_STORE": "relative", "EBPFPROF_SERVICES": "[{match: {com: x}, name: y}]"}
	_, err = Load(Sources{
		File:      []byte("log:\n  level: loud\n"),
		LookupEnv: func(name string) (string, bool) { s, ok := env[name]; return s, ok },
		Flags:     map[string]string{"pid": "1,0"},
	})
	for _, part := range []string{"line 2: log.level", "EBPFPROF_WINDOW: \"soon\"", "EBPFPROF_STORE: \"relative\"", "EBPFPROF_SERVICES: unknown key", `"comm"`, "--pid: 0 is no process"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("Load does not say %q:\n%v", part, err)
		}
	}
	if got := UnknownEnv([]string{"EBPFPROF_LISTN=1", "EBPFPROF_LISTEN=2", "PATH=x", "EBPFPROF_X=1"}, "EBPFPROF_X"); !slices.Equal(got, []string{"EBPFPROF_LISTN"}) {
		t.Errorf("UnknownEnv = %q", got)
	}
}

func TestScalars(t *testing.T) {
	for text, want := range map[string]string{
		"10s": "10s", "90s": "1m30s", "1h": "1h", "24h": "1d", "7d": "7d", "1d12h": "1d12h", "0": "0s", "500ms": "500ms", "1h0m5s": "1h0m5s", "0d": "0s",
		"": "", "7": "", "-1s": "", "1w": "", "d": "", "99999d": "", "1d2d": "", "65535d2000000h": "",
	} {
		var d Duration
		if err := d.UnmarshalText([]byte(text)); (err == nil) != (want != "") || err == nil && d.String() != want {
			t.Errorf("duration %q = %s, %v, want %q", text, d, err, want)
		}
	}
	for text, want := range map[string]string{
		"0": "0", "1": "1", "1024": "1KiB", "64MiB": "64MiB", "1 GiB": "1GiB", "1MB": "1000000", "1536KiB": "1536KiB", "3B": "3", "1024GiB": "1TiB",
		"": "", "-1": "", "1.5GiB": "", "9000000TiB": "", "MiB": "", "1Gi": "",
	} {
		var s Size
		if err := s.UnmarshalText([]byte(text)); (err == nil) != (want != "") || err == nil && s.String() != want {
			t.Errorf("size %q = %s, %v, want %q", text, s, err, want)
		}
	}
	for text, want := range map[string]Fraction{"off": 0, "0": 0, "1": 1, "0.5": 0.5, "NaN": -1, "1.1": -1, "-0.1": -1, "": -1, "50%": -1} {
		f := Fraction(-1)
		if err := f.UnmarshalText([]byte(text)); f != want || (err == nil) != (want >= 0) {
			t.Errorf("fraction %q = %v, %v, want %v", text, f, err, want)
		}
	}
}

func TestDefaultIsValid(t *testing.T) {
	c := Default()
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	c.Listen = "x"
	if problems, ok := errors.AsType[Problems](c.Validate()); !ok || len(problems) != 1 {
		t.Errorf("Validate = %v", problems)
	}
}
