package config

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
)

// With -update the documentation and the example file are written anew.
func updating() bool { return flag.Lookup("update").Value.String() == "true" }

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write docs/config.md and packaging/ebpfprof.yaml anew")
	flag.Parse()
	os.Exit(m.Run())
}

const (
	referenceFile = "../../docs/config.md"
	exampleFile   = "../../packaging/ebpfprof.yaml"
)

func TestDocumentsAreCurrent(t *testing.T) {
	head, err := os.ReadFile("testdata/config.md")
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{referenceFile: string(head) + reference(), exampleFile: example()} {
		if updating() {
			if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(file); err != nil || string(got) != want {
			t.Errorf("%s is not what the table of keys says (%v): go test ./pkg/config -update", file, err)
		}
	}
}

// reference is the table of docs/config.md.
func reference() string {
	var b strings.Builder
	b.WriteString("| key | flag | variable | default | meaning |\n|---|---|---|---|---|\n")
	cell := strings.NewReplacer("|", "\\|", "\n", " ")
	for _, f := range Fields() {
		flag, value := "--"+f.Flag, f.Get(Default())
		if f.Arg != "" {
			flag += " " + f.Arg
		}
		if value != "" {
			value = "`" + value + "`"
		}
		doc := f.Doc
		if f.Restart {
			doc += " (restart)"
		}
		fmt.Fprintf(&b, "| `%s` | `%s` | `%s` | %s | %s |\n", f.Key, cell.Replace(flag), f.Env, value, cell.Replace(doc))
	}
	return b.String()
}

// example is the file with every key commented out: a "#" before a key and its default, "# " before an explanation.
func example() string {
	var b strings.Builder
	b.WriteString("# Configuration of ebpfprof daemon. Every key has the default that is shown, so that an empty file works.\n" +
		"# Keys, flags and variables are explained in docs/config.md; check with: ebpfprof check-config FILE\n")
	var open []string
	for _, f := range Fields() {
		path := strings.Split(f.Key, ".")
		parents, name := path[:len(path)-1], path[len(path)-1]
		common := 0
		for common < len(parents) && common < len(open) && parents[common] == open[common] {
			common++
		}
		if common == 0 {
			b.WriteString("\n")
		}
		for depth := common; depth < len(parents); depth++ {
			fmt.Fprintf(&b, "#%s%s:\n", strings.Repeat("  ", depth), parents[depth])
		}
		open = parents
		indent := strings.Repeat("  ", len(parents))
		value := f.Get(Default())
		if value == "" {
			value = empty(f)
		}
		fmt.Fprintf(&b, "# %s%s\n#%s%s: %s\n", indent, f.Doc, indent, name, value)
	}
	return b.String()
}

// empty is how an empty value is written.
func empty(f Field) string {
	var c Config
	v, _ := at(reflect.ValueOf(&c).Elem(), f.Key, true)
	switch v.Kind() {
	case reflect.Slice:
		return "[]"
	case reflect.Map:
		return "{}"
	case reflect.String:
		return `""`
	}
	return ""
}

// uncomment puts every key of the example in force.
func uncomment(file string) string {
	var b strings.Builder
	for line := range strings.Lines(file) {
		if strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "# ") || strings.HasPrefix(line, "#  ") && keyLine(line) {
			line = line[1:]
		}
		b.WriteString(line)
	}
	return b.String()
}

// keyLine tells a key below another ("#  dir: x") from an explanation ("#   directory of ...").
func keyLine(line string) bool {
	indent := len(line) - len(strings.TrimLeft(line[1:], " ")) - 1
	return indent%2 == 0
}

func TestExampleIsTheDefault(t *testing.T) {
	file, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	inForce := uncomment(string(file))
	if bytes.Count([]byte(inForce), []byte("\n#")) > len(Fields())+2 {
		t.Fatalf("keys are still commented out:\n%s", inForce)
	}
	for name, text := range map[string]string{"as it is": string(file), "in force": inForce} {
		c, err := Parse([]byte(text))
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, text)
		}
		if got, want := printed(t, c), printed(t, Default()); name == "as it is" && got != want {
			t.Errorf("%s: is\n%s", name, got)
		}
		for _, f := range Changed(Default(), c) {
			t.Errorf("%s: %s is %q, not the default %q", name, f.Key, f.Get(c), f.Get(Default()))
		}
	}
}

func printed(t *testing.T, c Config) string {
	t.Helper()
	b, err := c.YAML()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
