package config

import (
	"fmt"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A Field is one key of the configuration, under all of its names.
type Field struct {
	Key  string // in the file: "store.dir"
	Flag string // without dashes: "store"
	Env  string // "EBPFPROF_STORE"
	Arg  string // what the value is, for the flag's help: "DIR"; "" for a flag without a value
	Doc  string // a sentence without a full stop
	// Restart: a changed value waits for the next start. Others take effect on reload.
	Restart bool
}

// Set enters text in a configuration: from the environment or a flag. A list is YAML ("[a, b]") or, of plain values,
// separated by commas; keys and values are YAML ("{a: b}") or "a=b,c=d". The error is of type Problems.
func (f Field) Set(c *Config, s string) error {
	v, ok := at(reflect.ValueOf(c).Elem(), f.Key, true)
	if !ok {
		return Problems{{Key: f.Key, Text: "unknown key"}}
	}
	d := decoder{lines: map[string]int{}}
	switch {
	case isText(v):
		if err := setText(v, s); err != nil {
			d.problems.add(0, f.Key, "%v", err)
		}
	case s == "":
		v.SetZero()
	default:
		v.SetZero()
		var document yaml.Node
		if err := yaml.Unmarshal([]byte(bracketed(v.Type(), s)), &document); err != nil || len(document.Content) != 1 {
			d.problems.add(0, f.Key, "want YAML")
			break
		}
		d.value(document.Content[0], v, f.Key)
	}
	for i := range d.problems {
		d.problems[i].Line = 0 // of the text, which nobody sees as lines
	}
	return d.problems.err()
}

// bracketed makes YAML of the short forms of lists and of keys and values.
func bracketed(t reflect.Type, s string) string {
	switch trimmed := strings.TrimSpace(s); {
	case strings.HasPrefix(trimmed, "[") || strings.HasPrefix(trimmed, "{") || strings.Contains(s, "\n"):
		return s
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.String:
		parts := strings.Split(s, ",")
		for i, p := range parts {
			parts[i] = quoted(p)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case t.Kind() == reflect.Slice:
		return "[" + s + "]"
	case t.Kind() == reflect.Map && t.Elem().Kind() == reflect.String && strings.Contains(s, "="):
		pairs := strings.Split(s, ",")
		for i, p := range pairs {
			name, value, _ := strings.Cut(p, "=")
			pairs[i] = quoted(name) + ": " + quoted(value)
		}
		return "{" + strings.Join(pairs, ", ") + "}"
	}
	return s
}

func quoted(s string) string { return "'" + strings.ReplaceAll(strings.TrimSpace(s), "'", "''") + "'" }

// Get returns the value as text that Set reads; lists, and keys and values, are YAML in one line. It is "" for what is
// empty.
func (f Field) Get(c Config) string {
	v, ok := at(reflect.ValueOf(&c).Elem(), f.Key, false)
	if !ok {
		return ""
	}
	if isText(v) {
		return fmt.Sprint(v.Interface())
	}
	if v.IsZero() || (v.Kind() == reflect.Slice || v.Kind() == reflect.Map) && v.Len() == 0 {
		return ""
	}
	var node yaml.Node
	if err := node.Encode(v.Interface()); err != nil {
		return ""
	}
	if node.Kind == yaml.ScalarNode {
		return node.Value
	}
	flow(&node)
	text, err := yaml.Marshal(&node)
	if err != nil {
		return ""
	}
	// A long value is folded over lines, which indent what goes on: one blank reads the same.
	return strings.Join(strings.Fields(string(text)), " ")
}

// flow makes a node print in one line.
func flow(node *yaml.Node) {
	if node.Kind != yaml.ScalarNode {
		node.Style = yaml.FlowStyle
	}
	for _, child := range node.Content {
		flow(child)
	}
}

// IsBool tells whether a flag of the field stands for true without a value.
func (f Field) IsBool() bool {
	var c Config
	v, ok := at(reflect.ValueOf(&c).Elem(), f.Key, true)
	return ok && v.Kind() == reflect.Bool
}

// Changed returns the fields in which two configurations differ. A daemon that took a new one tells which of them wait
// for its next start.
func Changed(before, after Config) []Field {
	var changed []Field
	for _, f := range Fields() {
		if f.Get(before) != f.Get(after) {
			changed = append(changed, f)
		}
	}
	return changed
}
