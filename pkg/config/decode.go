package config

import (
	"encoding"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"strconv"
	"strings"

	"github.com/prometheus/prometheus/model/relabel"
	"go.yaml.in/yaml/v3"
)

// maxNodes bounds what a file makes us do: aliases can make a small file large.
const maxNodes = 100_000

// A decoder enters a tree of YAML in a Config. yaml's own decoder stops at the first error of a foreign type, names no
// path and suggests nothing; this one goes on, and remembers where each key was.
type decoder struct {
	problems Problems
	lines    map[string]int
	nodes    int
}

// value enters a node in v, which can be set. What cannot be entered is a problem, and v keeps what it had.
func (d *decoder) value(node *yaml.Node, v reflect.Value, key string) {
	for node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if d.nodes++; d.nodes > maxNodes {
		if d.nodes == maxNodes+1 {
			d.problems.add(node.Line, key, "more than %d values, aliases included", maxNodes)
		}
		return
	}
	if _, ok := d.lines[key]; !ok {
		d.lines[key] = node.Line
	}
	switch isNull := node.ShortTag() == "!!null"; {
	case isNull: // "store:" with nothing below it: the default
	case isMapping(v.Type()):
		d.mapping(node, v, key)
	case v.Kind() == reflect.Pointer && isMapping(v.Type().Elem()):
		if v.IsNil() {
			v.Set(newElement(v.Type().Elem()).Addr())
		}
		d.mapping(node, v.Elem(), key)
	case isText(v):
		if node.Kind != yaml.ScalarNode {
			d.problems.add(node.Line, key, "want %s, not %s", wanted(v.Type()), kindName(node))
		} else if err := setText(v, node.Value); err != nil {
			d.problems.add(node.Line, key, "%v", err)
		}
	case v.Kind() == reflect.Slice:
		d.list(node, v, key)
	case v.Kind() == reflect.Map && v.Type().Key().Kind() == reflect.String && !hasYAML(v):
		d.dictionary(node, v, key)
	default:
		if err := node.Decode(v.Addr().Interface()); err != nil {
			d.problems.add(node.Line, key, "%s", plainError(err))
		}
	}
}

func (d *decoder) mapping(node *yaml.Node, v reflect.Value, key string) {
	if node.Kind != yaml.MappingNode {
		d.problems.add(node.Line, key, "want keys and values, not %s", kindName(node))
		return
	}
	d.pairs(node, key, func(name *yaml.Node, value *yaml.Node, path string) {
		if field, ok := fieldOf(v, name.Value); ok {
			d.value(value, field, path)
			return
		}
		if inline, ok := inlineMap(v); ok {
			d.entry(inline, name.Value, value, path)
			return
		}
		d.problems.add(name.Line, path, "unknown key%s", suggestion(name.Value, key, keysOf(v.Type())))
	})
}

// pairs calls do for each key of a mapping, once.
func (d *decoder) pairs(node *yaml.Node, key string, do func(name, value *yaml.Node, path string)) {
	first := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		name := node.Content[i]
		if name.Kind != yaml.ScalarNode {
			d.problems.add(name.Line, key, "a key is %s", kindName(name))
			continue
		}
		path := name.Value
		if key != "" {
			path = key + "." + name.Value
		}
		if line, ok := first[name.Value]; ok {
			d.problems.add(name.Line, path, "given twice, first in line %d", line)
			continue
		}
		first[name.Value] = name.Line
		d.lines[path] = name.Line
		do(name, node.Content[i+1], path)
	}
}

func (d *decoder) list(node *yaml.Node, v reflect.Value, key string) {
	if node.Kind != yaml.SequenceNode {
		d.problems.add(node.Line, key, "want a list, not %s", kindName(node))
		return
	}
	list := reflect.MakeSlice(v.Type(), 0, 0)
	for i, item := range node.Content {
		element := newElement(v.Type().Elem())
		d.value(item, element, fmt.Sprintf("%s[%d]", key, i))
		if element.Kind() == reflect.Pointer && element.IsNil() {
			d.problems.add(item.Line, fmt.Sprintf("%s[%d]", key, i), "empty entry")
			continue
		}
		list = reflect.Append(list, element)
	}
	v.Set(list)
}

func (d *decoder) dictionary(node *yaml.Node, v reflect.Value, key string) {
	if node.Kind != yaml.MappingNode {
		d.problems.add(node.Line, key, "want keys and values, not %s", kindName(node))
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	d.pairs(node, key, func(name, value *yaml.Node, path string) { d.entry(v, name.Value, value, path) })
}

func (d *decoder) entry(m reflect.Value, name string, value *yaml.Node, path string) {
	if m.IsNil() {
		m.Set(reflect.MakeMap(m.Type()))
	}
	element := newElement(m.Type().Elem())
	d.value(value, element, path)
	m.SetMapIndex(reflect.ValueOf(name).Convert(m.Type().Key()), element)
}

// newElement is a settable value with what an absent key means.
func newElement(t reflect.Type) reflect.Value {
	v := reflect.New(t)
	switch e := v.Interface().(type) {
	case *Rule:
		e.Sample = 1
	case *relabel.Config:
		*e = relabel.DefaultRelabelConfig
	}
	return v.Elem()
}

// isText tells whether a value is written as one word.
func isText(v reflect.Value) bool {
	if hasYAML(v) {
		return false
	}
	if _, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return true
	}
	switch v.Kind() {
	case reflect.String, reflect.Bool, reflect.Int, reflect.Uint64:
		return true
	}
	return false
}

// hasYAML tells whether a foreign type reads itself.
func hasYAML(v reflect.Value) bool {
	switch v.Addr().Interface().(type) {
	case yaml.Unmarshaler, interface{ UnmarshalYAML(func(any) error) error }:
		return true
	}
	return false
}

func setText(v reflect.Value, s string) error {
	if t, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return t.UnmarshalText([]byte(s))
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(s)
	case reflect.Bool:
		b, err := strconv.ParseBool(s)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", s)
		}
		v.SetBool(b)
	case reflect.Int:
		n, err := strconv.ParseInt(s, 10, 32)
		if err != nil {
			return fmt.Errorf("%q is no whole number", s)
		}
		v.SetInt(n)
	case reflect.Uint64:
		n, err := strconv.ParseUint(s, 10, 63)
		if err != nil {
			return fmt.Errorf("%q is no whole number from 0", s)
		}
		v.SetUint(n)
	default:
		return fmt.Errorf("cannot be written as text")
	}
	return nil
}

func wanted(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[Duration]():
		return "a duration"
	case t == reflect.TypeFor[Size]():
		return "a size"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.String:
		return "text"
	}
	return "a number"
}

func kindName(node *yaml.Node) string {
	switch node.Kind {
	case yaml.MappingNode:
		return "keys and values"
	case yaml.SequenceNode:
		return "a list"
	}
	return "a single value"
}

// plainError is what yaml says, without the line that it counts from the start of the value.
func plainError(err error) string {
	var types *yaml.TypeError
	if malformed := (*url.Error)(nil); errors.As(err, &malformed) {
		return "no URL" // which may hold a password
	}
	if !errors.As(err, &types) {
		return err.Error()
	}
	said := make([]string, len(types.Errors))
	for i, e := range types.Errors {
		if _, rest, ok := strings.Cut(e, ": "); ok && strings.HasPrefix(e, "line ") {
			e = rest
		}
		said[i] = e
	}
	return strings.Join(said, "; ")
}
