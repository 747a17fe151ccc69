package config

import (
	"reflect"
	"slices"
	"strings"
)

// This file is what the struct tags of Config, and of the foreign types in it, say about keys.

// isMapping tells whether a struct is written as keys and values, and not by itself as one word.
func isMapping(t reflect.Type) bool {
	if t.Kind() != reflect.Struct {
		return false
	}
	for i := range t.NumField() {
		if _, ok := t.Field(i).Tag.Lookup("yaml"); ok {
			return true
		}
	}
	return false
}

// fieldOf returns the field of a struct that a key names, those of inlined structs included.
func fieldOf(v reflect.Value, name string) (reflect.Value, bool) {
	t := v.Type()
	for i := range t.NumField() {
		key, inline := keyOf(t.Field(i))
		switch {
		case inline && v.Field(i).Kind() == reflect.Struct:
			if field, ok := fieldOf(v.Field(i), name); ok {
				return field, true
			}
		case key == name && key != "":
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

// inlineMap returns the map that takes any key of a struct, if it has one.
func inlineMap(v reflect.Value) (reflect.Value, bool) {
	for i := range v.NumField() {
		if _, inline := keyOf(v.Type().Field(i)); inline && v.Field(i).Kind() == reflect.Map {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

// keyOf returns the key of a field, "" if it has none.
func keyOf(f reflect.StructField) (key string, inline bool) {
	tag, ok := f.Tag.Lookup("yaml")
	if !ok || !f.IsExported() {
		return "", false
	}
	key, options, _ := strings.Cut(tag, ",")
	if key == "-" {
		return "", false
	}
	return key, slices.Contains(strings.Split(options, ","), "inline")
}

// keysOf returns the keys of a struct, those of inlined structs included. Keys that would name a secret manager's
// entry are left out: there is no such manager here.
func keysOf(t reflect.Type) []string {
	var keys []string
	for i := range t.NumField() {
		key, inline := keyOf(t.Field(i))
		switch {
		case inline && t.Field(i).Type.Kind() == reflect.Struct:
			keys = append(keys, keysOf(t.Field(i).Type)...)
		case key != "" && !strings.HasSuffix(key, "_ref"):
			keys = append(keys, key)
		}
	}
	return keys
}

// at returns the value that a key such as "push.otlp.tls_config.ca_file" names. Pointers on the way are followed, and
// filled if fill is set; otherwise a nil one on the way gives no value.
func at(v reflect.Value, key string, fill bool) (reflect.Value, bool) {
	for name := range strings.SplitSeq(key, ".") {
		if v.Kind() == reflect.Pointer {
			if v.IsNil() && !fill {
				return reflect.Value{}, false
			}
			if v.IsNil() {
				v.Set(newElement(v.Type().Elem()).Addr())
			}
			v = v.Elem()
		}
		field, ok := fieldOf(v, name)
		if !ok {
			return reflect.Value{}, false
		}
		v = field
	}
	return v, true
}
