package vm_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/ebpfprof/ebpfprof/test/vm"
)

// entry is what readNewc reads of one archive member.
type entry struct {
	mode uint64
	data string
}

// readNewc reads an archive as the kernel's init/initramfs.c does.
func readNewc(t *testing.T, data []byte) map[string]entry {
	t.Helper()
	entries := make(map[string]entry)
	for {
		if len(data) < 110 || string(data[:6]) != "070701" {
			t.Fatalf("no header where one has to be: %.20q", data)
		}
		field := func(i int) uint64 {
			v, err := strconv.ParseUint(string(data[6+8*i:14+8*i]), 16, 32)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
		size, nameSize := int(field(6)), int(field(11))
		name := strings.TrimSuffix(string(data[110:110+nameSize]), "\x00")
		body := (110 + nameSize + 3) &^ 3
		if name == "TRAILER!!!" {
			return entries
		}
		if _, ok := entries[name]; ok {
			t.Errorf("%s is there twice", name)
		}
		entries[name] = entry{field(1), string(data[body : body+size])}
		data = data[(body+size+3)&^3:]
	}
}

func TestInitramfs(t *testing.T) {
	var b bytes.Buffer
	a := vm.NewInitramfs(&b)
	files := map[string]string{"init": "a", "bin/x": "four", "usr/lib/deep/y": "", "z": "12345"}
	for name, content := range files {
		if err := a.Add("/"+name, []byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	got := readNewc(t, b.Bytes())
	for name, content := range files {
		if e := got[name]; e.data != content || e.mode != 0o100755 {
			t.Errorf("%s: mode %o, content %q", name, e.mode, e.data)
		}
	}
	for _, dir := range []string{"bin", "proc", "usr", "usr/lib", "usr/lib/deep"} {
		if got[dir].mode != 0o040755 {
			t.Errorf("directory %s: mode %o", dir, got[dir].mode)
		}
	}
	if got["dev/console"].mode != 0o020600 {
		t.Errorf("dev/console: mode %o", got["dev/console"].mode)
	}
}

func TestInitramfsKeepsTheFirstError(t *testing.T) {
	a := vm.NewInitramfs(&bytes.Buffer{})
	if err := a.AddFile("x", filepath.Join(t.TempDir(), "absent")); err == nil {
		t.Fatal("a file that does not exist was added")
	}
	if err := a.Close(); err == nil || !strings.Contains(err.Error(), "absent") {
		t.Errorf("Close: %v", err)
	}
}

// TestInitramfsCpio: GNU cpio reads it too.
func TestInitramfsCpio(t *testing.T) {
	cpio, err := exec.LookPath("cpio")
	if err != nil {
		t.Skip("no cpio here")
	}
	var b bytes.Buffer
	a := vm.NewInitramfs(&b)
	a.Add("init", []byte("#!/bin/sh\n"))
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cmd := exec.Command(cpio, "-idm", "--quiet", "--no-absolute-filenames", "init")
	cmd.Dir, cmd.Stdin = dir, &b
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cpio: %v\n%s", err, out)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "init")); err != nil || string(data) != "#!/bin/sh\n" {
		t.Errorf("cpio took out %q, %v", data, err)
	}
}
