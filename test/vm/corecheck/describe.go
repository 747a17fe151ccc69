package main

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/cilium/ebpf/btf"
)

// relocationText is how cilium/ebpf prints a relocation, the one way it shows what is
// in it: kind, type, path of member indices, ID of the type in the object.
var relocationText = regexp.MustCompile(`^CORERelocation\((\w+), .*\[([0-9:]*)\], local_id=(\d+)\)$`)

// describe names what a relocation is about in the words of the source, such as
// "task_struct.mm (byte_off)", or returns the relocation's own text.
func describe(relocation *btf.CORERelocation, object *btf.Spec) string {
	text := relocation.String()
	m := relocationText.FindStringSubmatch(text)
	if m == nil {
		return text
	}
	id, err := strconv.ParseUint(m[3], 10, 32)
	if err != nil {
		return text
	}
	t, err := object.TypeByID(btf.TypeID(id))
	if err != nil {
		return text
	}
	name, ok := path(t, m[2])
	if !ok {
		return text
	}
	return name + " (" + m[1] + ")"
}

// path follows member indices from a type: "0:3" is its fourth member, the first
// index being that of an array of the type.
func path(t btf.Type, accessor string) (string, bool) {
	name := t.TypeName()
	indices := strings.Split(accessor, ":")
	if e, ok := btf.As[*btf.Enum](t); ok {
		i, err := strconv.Atoi(indices[0])
		if err != nil || i >= len(e.Values) {
			return "", false
		}
		return name + "." + e.Values[i].Name, true
	}
	for _, index := range indices[1:] {
		i, err := strconv.Atoi(index)
		if err != nil {
			return "", false
		}
		var members []btf.Member
		switch under := btf.UnderlyingType(t).(type) {
		case *btf.Struct:
			members = under.Members
		case *btf.Union:
			members = under.Members
		case *btf.Array:
			name, t = name+"["+index+"]", under.Type
			continue
		}
		if i >= len(members) {
			return "", false
		}
		if members[i].Name != "" { // not of an anonymous struct or union
			name += "." + members[i].Name
		}
		t = members[i].Type
	}
	return name, true
}
