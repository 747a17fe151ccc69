package proc

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestParseMapping(t *testing.T) {
	for line, want := range map[string]mapping{
		"00400000-00452000 r-xp 00001000 08:02 173521 /usr/bin/dbus-daemon": {
			0x400000, 0x452000, 8<<20 | 2, 173521, "/usr/bin/dbus-daemon"},
		"7f0-7f8 rwxp 00000000 fe:00 7 /a b (deleted)": {0x7f0, 0x7f8, 0xfe << 20, 7, "/a"},
	} {
		if m, ok := parseMapping([]byte(line)); !ok || m != want {
			t.Errorf("parseMapping(%q) = %+v, %v, want %+v", line, m, ok, want)
		}
	}
	for _, line := range []string{
		"", "x", "00400000-00452000 r--p 00001000 08:02 173521 /usr/bin/x", "00400000-00452000 r-xp 0 00:00 0 [vdso]",
		"452000-400000 r-xp 0 08:02 1 /x", "00400000 r-xp 0 08:02 1 /x", "400000-452000 r-xp 0 0802 1 /x", "400000-452000 r-xp 0 08:02 1 x",
	} {
		if m, ok := parseMapping([]byte(line)); ok {
			t.Errorf("parseMapping(%q) = %+v, want none", line, m)
		}
	}
}

func FuzzParseMapping(f *testing.F) {
	f.Add([]byte("00400000-00452000 r-xp 00001000 08:02 173521 /usr/bin/dbus-daemon"))
	f.Fuzz(func(_ *testing.T, line []byte) { parseMapping(line) })
}

func TestExecutables(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: follows /proc/PID/map_files")
	}
	var st unix.Stat_t
	if err := unix.Stat("/proc/self/exe", &st); err != nil {
		t.Fatal(err)
	}
	all, err := FS{}.Executables(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if e.ID.Ino == st.Ino && e.ID.MtimeSec == st.Mtim.Sec {
			f, _, err := FS{}.OpenObject(e.ID, e.Hint)
			if err != nil {
				t.Fatal(err)
			}
			f.Close()
			return
		}
	}
	t.Errorf("own executable is not among %+v", all)
}
