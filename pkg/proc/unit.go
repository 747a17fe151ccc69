package proc

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// unitSuffixes are the unit types that own a cgroup, in the order in which a name
// without one is tried. Sockets, mounts and swaps run short helpers.
func unitSuffixes() []string {
	return []string{".service", ".scope", ".slice", ".socket", ".mount", ".swap"}
}

func hasUnitSuffix(name string) bool {
	return slices.ContainsFunc(unitSuffixes(), func(s string) bool { return len(name) > len(s) && strings.HasSuffix(name, s) })
}

// Unit returns the innermost systemd service or scope on a cgroup path, with its
// suffix, "" when there is none. Units that only say who logged in are none:
// session-N.scope, init.scope and the user managers user@UID.service.
//
// Escapes are undone: those of cgroup names (a leading "_") and \xNN, but not the
// "-" for "/" in unit names made from paths, since the path cannot be told from a
// name with dashes.
func Unit(cgroupPath string) string {
	for _, c := range slices.Backward(strings.Split(cgroupPath, "/")) {
		name := unescapeUnit(c)
		stem, isService := strings.CutSuffix(name, ".service")
		stem, isScope := strings.CutSuffix(stem, ".scope")
		switch {
		case stem == "" || !isService && !isScope:
		case name == "init.scope" || isSession(name) || strings.HasPrefix(name, "user@"):
		default:
			return clean(name)
		}
	}
	return ""
}

func isSession(name string) bool {
	return strings.HasPrefix(name, "session-") && strings.HasSuffix(name, ".scope")
}

// unescapeUnit undoes systemd's cg_escape and unit_name_escape. A result that is
// not UTF-8 or not printable stays escaped.
func unescapeUnit(s string) string {
	s = strings.TrimPrefix(s, "_")
	if !strings.Contains(s, `\x`) {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if strings.HasPrefix(s[i:], `\x`) && i+4 <= len(s) {
			if b, err := strconv.ParseUint(s[i+2:i+4], 16, 8); err == nil {
				out = append(out, byte(b))
				i += 3
				continue
			}
		}
		out = append(out, s[i])
	}
	text := string(out)
	if !utf8.ValidString(text) || clean(text) != text || strings.Contains(text, "/") {
		return s
	}
	return text
}

// ResolveUnit finds the cgroup of a running systemd unit by its name, with or
// without suffix (NAME is NAME.service before NAME.scope before NAME.slice), in
// version 2 or in the hierarchy name=systemd. Instances of templates are named in
// full ("foo@1"); their slice is "system-foo.slice". A unit of the system wins over
// one of a user's manager, and that over one inside a container; a name that
// several in one of these have is an error that lists them.
func (f FS) ResolveUnit(name string) (CgroupRef, error) {
	if name == "" || strings.Contains(name, "/") {
		return CgroupRef{}, fmt.Errorf("unit %q: not the name of a unit; for the path of a cgroup use that of the cgroup", name)
	}
	units, err := f.units()
	if err != nil {
		return CgroupRef{}, fmt.Errorf("unit %q: %w", name, err)
	}
	wanted := []string{name}
	if !hasUnitSuffix(name) {
		wanted = nil
		for _, suffix := range unitSuffixes() {
			wanted = append(wanted, name+suffix)
		}
	}
	for _, want := range wanted {
		var matches []CgroupRef
		for _, u := range units {
			if base := u.Path[strings.LastIndexByte(u.Path, '/')+1:]; base == want || unescapeUnit(base) == want {
				matches = append(matches, u)
			}
		}
		if len(matches) > 0 {
			return chooseUnit(want, matches)
		}
	}
	return CgroupRef{}, unknownUnit(name, units)
}

// units returns all cgroups of units in version 2 and name=systemd.
func (f FS) units() ([]CgroupRef, error) {
	mounts, err := f.CgroupMounts()
	if err != nil {
		return nil, err
	}
	var units []CgroupRef
	searched := false
	for _, m := range mounts {
		if m.Hierarchy != 0 && !slices.Contains(m.Controllers, "name=systemd") {
			continue
		}
		searched = true
		err := walkCgroups(m.MountPoint, func(dir string) error {
			path, ok := m.path(dir)
			if !ok || !hasUnitSuffix(path[strings.LastIndexByte(path, '/')+1:]) {
				return nil
			}
			if ref, err := newCgroupRef(m, path, dir); err == nil {
				units = append(units, ref)
			}
			return nil
		})
		if err != nil && !errors.Is(err, errTooManyCgroups) {
			return nil, err
		}
	}
	if !searched {
		return nil, errors.New("neither cgroup v2 nor the hierarchy name=systemd is mounted")
	}
	return units, nil
}

// chooseUnit settles for one path, then for the hierarchy in which it has processes.
func chooseUnit(name string, matches []CgroupRef) (CgroupRef, error) {
	best := slices.MinFunc(matches, func(a, b CgroupRef) int { return unitRank(a.Path) - unitRank(b.Path) })
	var paths []string
	var refs []CgroupRef
	for _, m := range matches {
		if unitRank(m.Path) != unitRank(best.Path) {
			continue
		}
		refs = append(refs, m)
		if !slices.Contains(paths, m.Path) {
			paths = append(paths, m.Path)
		}
	}
	if len(paths) > 1 {
		return CgroupRef{}, fmt.Errorf("unit %q is ambiguous, name one as a cgroup: %s", name, strings.Join(paths[:min(len(paths), 10)], ", "))
	}
	return busiest(refs), nil
}

func unitRank(path string) int {
	switch parent := path[:strings.LastIndexByte(path, '/')]; {
	case ContainerID(parent) != "":
		return 2
	case strings.Contains(parent, "/user@"):
		return 1
	}
	return 0
}

func unknownUnit(name string, units []CgroupRef) error {
	if len(units) == 0 {
		return fmt.Errorf("unit %q: no cgroup of any systemd unit exists; is systemd running?", name)
	}
	names := make([]string, 0, len(units))
	for _, u := range units {
		names = append(names, clean(unescapeUnit(u.Path[strings.LastIndexByte(u.Path, '/')+1:])))
	}
	if near := nearest(name, names); len(near) > 0 {
		return fmt.Errorf("unit %q is not running; similar: %s", name, strings.Join(near, ", "))
	}
	return fmt.Errorf("unit %q is not running (searched %d units)", name, len(units))
}
