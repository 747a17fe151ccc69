package service

import (
	"fmt"
	"maps"
	"reflect"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/prometheus/prometheus/model/relabel"
	"go.yaml.in/yaml/v3"
)

func mustCompile(t testing.TB, o Options) *Rules {
	t.Helper()
	r, err := Compile(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func relabelling(t testing.TB, text string) []*relabel.Config {
	t.Helper()
	var configs []*relabel.Config
	if err := yaml.Unmarshal([]byte(text), &configs); err != nil {
		t.Fatal(err)
	}
	return configs
}

func java() Facts {
	return Facts{Service: "java", Executable: "/opt/shop/bin/java", Comm: "java", Cgroup: "/user.slice"}
}

func cart() Facts {
	return Facts{
		Service: "shop/cart", Executable: "/app/cart", Comm: "cart", Cgroup: "/kubepods/pod0f1e/c0de",
		ContainerID: "c0de", ContainerName: "k8s-cart", Namespace: "shop", Pod: "cart-1", PodUID: "0f1e", PodContainer: "cart",
	}
}

func TestIdentifyByRule(t *testing.T) {
	for _, tt := range []struct {
		rules    []Rule
		facts    Facts
		service  string
		fraction float64
	}{
		{nil, java(), "java", 1},
		{[]Rule{{Match{Executable: `/opt/(\w+)/`}, "$1", 1}}, java(), "shop", 1},
		{[]Rule{{Match{Executable: `^/opt/(\w+)/`}, "${1}-$service-$$", 0.5}}, java(), "shop-java-$", 0.5},
		{[]Rule{{Match{Executable: `^/(\w+)/(?P<app>\w+)/`, Comm: `^(.)`}, "${app}x$2$3$1y", 1}}, java(), "shopxshopjopty", 1},
		{[]Rule{{Match{Comm: "^python"}, "no", 1}}, java(), "java", 1},
		{[]Rule{{Match{Comm: "^java$", Unit: "x"}, "no", 1}}, java(), "java", 1},
		{[]Rule{{Match{Service: "^java$"}, "", 0.25}}, java(), "java", 0.25},
		{[]Rule{{Match{Service: "java"}, "first", 1}, {Match{Comm: "java"}, "second", 0.1}}, java(), "first", 1},
		{[]Rule{{Match{Unit: "^(x?)"}, " $1 ", 1}}, java(), "java", 1}, // an empty name is none
		{[]Rule{{Match{Namespace: "shop", Pod: "^cart-"}, "${namespace}.${container}", 1}}, cart(), "shop.cart", 1},
		{[]Rule{{Match{Container: "^c0de"}, "by-id", 1}}, cart(), "by-id", 1},
		{[]Rule{{Match{Container: "^cart$"}, "by-name", 1}}, cart(), "by-name", 1},
		{[]Rule{{Match{Cgroup: "kubepods"}, "${unit}$pod", 1}}, cart(), "cart-1", 1},
	} {
		got := mustCompile(t, Options{Rules: tt.rules}).Identify(tt.facts)
		if got.Service != tt.service || got.Fraction != tt.fraction || got.Drop {
			t.Errorf("%+v: %+v, want %q and %v", tt.rules, got, tt.service, tt.fraction)
		}
	}
	r := mustCompile(t, Options{Rules: []Rule{{Match{Comm: "java"}, "x", 0}}})
	if got := r.Identify(java()); !reflect.DeepEqual(got, Identity{Drop: true}) || r.Stats().Dropped != 1 {
		t.Errorf("sample off: %+v, %+v", got, r.Stats())
	}
}

// A process always has a name.
func TestIdentifyNamesEveryProcess(t *testing.T) {
	r := mustCompile(t, Options{Relabel: relabelling(t, "[{target_label: service_name, replacement: ''}]")})
	for _, tt := range []struct {
		facts Facts
		want  string
	}{
		{Facts{Service: "a", Executable: "/b", Comm: "c"}, "a"}, {Facts{Executable: "/usr/b", Comm: "c"}, "b"},
		{Facts{Executable: "/", Comm: "c"}, "c"}, {Facts{Comm: "c"}, "c"}, {Facts{Comm: " "}, "[nameless]"}, {Facts{}, "[nameless]"},
	} {
		if got := r.Identify(tt.facts).Service; got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.facts, got, tt.want)
		}
	}
}

func TestIdentifyLabels(t *testing.T) {
	nginx := Facts{Service: "nginx", Unit: "nginx.service", Executable: "/usr/sbin/nginx"}
	for _, tt := range []struct {
		relabel string
		facts   Facts
		service string
		want    map[string]string
	}{
		{"", nginx, "nginx", map[string]string{"unit": "nginx.service"}},
		{"", java(), "java", nil},
		{"", cart(), "shop/cart", map[string]string{"namespace": "shop", "pod": "cart-1", "container": "cart"}},
		{"[{action: labeldrop, regex: pod}]", cart(), "shop/cart", map[string]string{"namespace": "shop", "container": "cart"}},
		{"[{source_labels: [__meta_process_executable], regex: '.*/(ngi)nx', target_label: kind}]", nginx, "nginx",
			map[string]string{"unit": "nginx.service", "kind": "ngi"}},
		{"[{source_labels: [service_name, __meta_kubernetes_pod_uid], separator: '@', target_label: service_name}]", cart(), "shop/cart@0f1e",
			map[string]string{"namespace": "shop", "pod": "cart-1", "container": "cart"}},
		{"[{action: labelmap, regex: __meta_kubernetes_(pod_name)}]", cart(), "shop/cart",
			map[string]string{"namespace": "shop", "pod": "cart-1", "container": "cart", "pod_name": "cart-1"}},
		{"[{action: keep, source_labels: [namespace], regex: shop}, {action: labelkeep, regex: container}]", cart(), "shop/cart",
			map[string]string{"container": "cart"}}, // service_name went, and the name stayed
	} {
		got := mustCompile(t, Options{Relabel: relabelling(t, tt.relabel)}).Identify(tt.facts)
		if got.Service != tt.service || !maps.Equal(got.Labels, tt.want) {
			t.Errorf("%s: %+v, want %q %v", tt.relabel, got, tt.service, tt.want)
		}
	}
	r := mustCompile(t, Options{
		Rules:   []Rule{{Match{Comm: "cart"}, "renamed", 1}},
		Relabel: relabelling(t, "[{action: drop, source_labels: [service_name, __meta_kubernetes_namespace], regex: renamed;shop}]"),
	})
	if got := r.Identify(cart()); !got.Drop || got.Service != "" {
		t.Errorf("action drop: %+v", got)
	}
	if got := r.Identify(java()); got.Drop {
		t.Errorf("action drop of another: %+v", got)
	}
}

func TestCompileRefuses(t *testing.T) {
	for _, tt := range []struct {
		options Options
		says    string
	}{
		{Options{Rules: []Rule{{Match{}, "x", 1}}}, "services[0]: matches everything"},
		{Options{Rules: []Rule{{Match{Comm: "a"}, "x", 1}, {Match{Comm: "("}, "x", 1}}}, "services[1]: match comm"},
		{Options{Rules: []Rule{{Match{Comm: "a"}, "x", 2}}}, "sample 2"},
		{Options{Rules: []Rule{{Match{Comm: "(a)"}, "$2", 1}}}, "have 1 groups"},
		{Options{Rules: []Rule{{Match{Comm: "(a)"}, "${0}", 1}}}, "have 1 groups"},
		{Options{Rules: []Rule{{Match{Comm: "(a)"}, "$nope", 1}}}, "no such group"},
		{Options{Rules: []Rule{{Match{Comm: "(a)"}, "a$", 1}}}, "after $"},
		{Options{Rules: []Rule{{Match{Comm: "(a)"}, "${1", 1}}}, "after $"},
		{Options{Rules: []Rule{{Match{Comm: "(a)"}, "$*", 1}}}, "after $"},
		{Options{Relabel: []*relabel.Config{{Action: relabel.HashMod, TargetLabel: "a"}}}, "relabel_configs[0]"},
	} {
		r, err := Compile(tt.options)
		if err == nil || r != nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%+v: %v, want %q", tt.options, err, tt.says)
		}
	}
}

// Beyond the bound, services are Other, until the owner says which are gone.
func TestServicesAreBounded(t *testing.T) {
	r := mustCompile(t, Options{MaxServices: 10})
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for i := range 100 {
				r.Identify(Facts{Service: fmt.Sprint("s", i)})
			}
		})
	}
	wait.Wait()
	if s := r.Stats(); s.Services != 10 || s.Overflowed != 4*90 {
		t.Errorf("Stats = %+v", s)
	}
	if a, b := r.Identify(Facts{Service: "s3"}), r.Identify(Facts{Service: "new", Pod: "p"}); a.Service != "s3" || b.Service != Other || b.Labels != nil {
		t.Errorf("known %+v, new %+v", a, b)
	}
	r.Retain([]Identity{{Service: "s3"}, {Service: Other}, {Service: "never"}})
	if s := r.Stats(); s.Services != 1 {
		t.Errorf("retained: %+v", s)
	}
	if got := r.Identify(Facts{Service: "new"}); got.Service != "new" {
		t.Errorf("after Retain: %+v", got)
	}
}

func TestSeriesAreBounded(t *testing.T) {
	r := mustCompile(t, Options{MaxServices: 2})
	var last Identity
	for i := range 100 {
		last = r.Identify(Facts{Service: "s", Pod: fmt.Sprint("p", i)})
	}
	if s := r.Stats(); s.Services != 1 || s.Series != 8 || s.Unlabelled != 92 || last.Service != "s" || last.Labels != nil {
		t.Errorf("%+v, %+v", s, last)
	}
	r.Retain([]Identity{{Service: "s", Labels: map[string]string{"pod": "p1"}}})
	if got := r.Identify(Facts{Service: "s", Pod: "p99"}); got.Labels["pod"] != "p99" || r.Stats().Series != 2 {
		t.Errorf("after Retain: %+v, %+v", got, r.Stats())
	}
}

func TestLabelsAreBounded(t *testing.T) {
	long := strings.Repeat("ä", maxValue)
	got := mustCompile(t, Options{}).Identify(Facts{Service: "x" + long, Pod: "x" + long})
	if n := len(got.Service); n != maxValue-1 || !utf8.ValidString(got.Service) || got.Labels["pod"] != got.Service {
		t.Errorf("%d bytes, labels %v", n, got.Labels)
	}
	var many strings.Builder
	for i := range 2 * maxLabels {
		fmt.Fprintf(&many, "- {target_label: l%02d, replacement: x}\n", i)
	}
	got = mustCompile(t, Options{Relabel: relabelling(t, many.String())}).Identify(java())
	if len(got.Labels) != maxLabels || got.Labels["l00"] != "x" {
		t.Errorf("%d labels: %v", len(got.Labels), got.Labels)
	}
}

// Every field of Match has a subject of its name, in order.
func TestSubjectsAreThoseOfMatch(t *testing.T) {
	fields := reflect.TypeFor[Match]()
	if len(subjects()) != fields.NumField() {
		t.Fatalf("%d subjects of %d fields", len(subjects()), fields.NumField())
	}
	for i, s := range subjects() {
		if name := strings.ToLower(fields.Field(i).Name); name != s.name {
			t.Errorf("subject %d is %s, want %s", i, s.name, name)
		}
	}
}

func FuzzIdentify(f *testing.F) {
	f.Add(`^/opt/(\w+)/`, "$1", "/opt/shop/bin", "java", "nginx.service", "pod-1")
	f.Add(`(?P<a>x)`, "${a}$$$executable", "x", "", "", "")
	f.Fuzz(func(t *testing.T, expression, template, exe, comm, unit, pod string) {
		r, err := Compile(Options{Rules: []Rule{{Match{Executable: expression}, template, 0.5}},
			Relabel: []*relabel.Config{{Action: relabel.LabelMap, Regex: relabel.MustNewRegexp("__meta_(.*)"), Replacement: "x_$1"}}})
		if err != nil {
			return
		}
		got := r.Identify(Facts{Executable: exe, Comm: comm, Unit: unit, Pod: pod})
		if got.Service == "" || len(got.Service) > maxValue || got.Fraction != 1 && got.Fraction != 0.5 || got.Drop {
			t.Errorf("%+v", got)
		}
		for name, value := range got.Labels {
			if value == "" || len(value) > maxValue || strings.HasPrefix(name, "__") {
				t.Errorf("label %q=%q", name, value)
			}
		}
	})
}

func BenchmarkIdentify(b *testing.B) {
	r := mustCompile(b, Options{
		Rules:   []Rule{{Match{Executable: `/opt/(\w+)/`}, "$1", 1}, {Match{Unit: "^nginx"}, "", 0.5}},
		Relabel: relabelling(b, "[{action: labeldrop, regex: pod}]"),
	})
	b.ReportAllocs()
	for b.Loop() {
		r.Identify(cart())
	}
}
