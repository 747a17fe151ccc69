package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"
)

func TestDoctorUnwind(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := doctorUnwind(&out, exe, true); err != nil {
		t.Fatal(err)
	}
	var reports []unwindReport
	if err := json.Unmarshal(out.Bytes(), &reports); err != nil {
		t.Fatal(err)
	}
	if len(reports) != 1 || reports[0].Rows == 0 || reports[0].Covered*100 < reports[0].TextBytes*99 || reports[0].Sources[".gopclntab"] == 0 {
		t.Errorf("report on a Go program: %+v", reports)
	}
	out.Reset()
	if err := doctorUnwind(&out, strconv.Itoa(os.Getpid()), false); err != nil && os.Geteuid() == 0 {
		t.Fatal(err)
	} else if err == nil && !strings.Contains(out.String(), exe+"\n  ") {
		t.Errorf("report on this process:\n%s", out.String())
	}
	text := t.TempDir() + "/text"
	if err := os.WriteFile(text, []byte("no ELF file"), 0o600); err != nil {
		t.Fatal(err)
	}
	out.Reset()
	if err := doctorUnwind(&out, text, false); err != nil || !strings.Contains(out.String(), "cannot be unwound") {
		t.Errorf("report on a text file: %v\n%s", err, out.String())
	}
	for _, bad := range []string{"/nonexistent", "999999999"} {
		if err := doctorUnwind(&out, bad, false); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
}
