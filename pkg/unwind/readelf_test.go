package unwind

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// dumpRow is one row of readelf --debug-dump=frames-interp, columns by name.
type dumpRow struct {
	pc   uint64
	cols map[string]string
}

var numbered = regexp.MustCompile(`(r[0-9]+) \([a-z0-9]+\)`)

type dumpFDE struct {
	lo, hi uint64
	rows   []dumpRow
}

var fdeHead = regexp.MustCompile(`^[0-9a-f]+ [0-9a-f]+ [0-9a-f]+ FDE (?:cie=([0-9a-f]+) )?.*pc=([0-9a-f]+)\.\.([0-9a-f]+)`)

// readelfFrames parses what readelf says about .eh_frame.
func readelfFrames(t *testing.T, readelf, path string) []dumpFDE {
	t.Helper()
	if _, err := exec.LookPath(readelf); err != nil {
		t.Skipf("needs %s: %v", readelf, err)
	}
	cmd := exec.Command(readelf, "--debug-dump=frames-interp", "--wide", path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	return parseFrames(out)
}

func parseFrames(r io.Reader) []dumpFDE {
	var out []dumpFDE
	var head []string
	cies := map[string][]dumpRow{}
	var cie string
	inFDE, skip := false, false
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		line := numbered.ReplaceAllString(sc.Text(), "$1") // "r5 (rdi)"
		switch fields := strings.Fields(line); {
		case strings.HasPrefix(line, "Contents of"):
			skip = !strings.Contains(line, ".eh_frame")
		case skip || len(fields) == 0:
			head = nil // rows follow their heading without a blank line
		case len(fields) > 3 && fields[3] == "CIE":
			inFDE, cie = false, strings.TrimLeft(fields[0], "0")
		case len(fields) > 3 && fields[3] == "FDE":
			m := fdeHead.FindStringSubmatch(line)
			if m == nil {
				continue
			}
			lo, _ := strconv.ParseUint(m[2], 16, 64)
			hi, _ := strconv.ParseUint(m[3], 16, 64)
			f := dumpFDE{lo: lo, hi: hi}
			for _, row := range cies[strings.TrimLeft(m[1], "0")] {
				// Without instructions of its own an FDE is printed without rows.
				f.rows = []dumpRow{{lo, row.cols}}
			}
			out = append(out, f)
			inFDE = true
		case fields[0] == "LOC":
			head = fields[1:]
			if inFDE {
				out[len(out)-1].rows = nil
			}
		case head != nil && len(fields) == len(head)+1:
			pc, err := strconv.ParseUint(fields[0], 16, 64)
			if err != nil {
				continue
			}
			cols := map[string]string{}
			for i, h := range head {
				cols[h] = fields[i+1]
			}
			if inFDE {
				f := &out[len(out)-1]
				f.rows = append(f.rows, dumpRow{pc, cols})
			} else {
				cies[cie] = []dumpRow{{pc, cols}}
			}
		}
	}
	return out
}

// describe writes a rule in readelf's terms.
func describe(a Arch, r Rule) (cfa, fp, ra, bx string) {
	regs := map[uint8]string{0: "rax", 1: "rdx", 2: "rcx", 3: "rbx", 4: "rsi", 5: "rdi", 6: "rbp", 7: "rsp"}
	if a == ARM64 {
		regs = map[uint8]string{31: "sp"}
	}
	name := func(n uint8) string {
		if s, ok := regs[n]; ok {
			return s
		}
		if a == ARM64 {
			return fmt.Sprintf("x%d", n)
		}
		return fmt.Sprintf("r%d", n)
	}
	cfa, fp, ra, bx = "exp", "u", "u", "u"
	switch r.Kind {
	case KindReg, KindRAReg:
		cfa = fmt.Sprintf("%s%+d", name(r.Reg), r.cfaOff())
	case KindEnd:
		return "?", "?", "u", "?"
	}
	switch r.FP {
	case FPSaved:
		fp = fmt.Sprintf("c%+d", r.FPOff)
	case FPLost, FPIndirect:
		fp = "exp"
	}
	switch {
	case r.Kind == KindRAReg:
		ra = fmt.Sprintf("r%d", r.FPOff)
	case a == AMD64 || r.RA != RADefault:
		ra = fmt.Sprintf("c%+d", r.raOff())
	}
	switch {
	case r.BX == BXLost:
		bx = "?"
	case r.BX > 0:
		bx = fmt.Sprintf("c%+d", r.bxOff())
	}
	return cfa, fp, ra, bx
}

// agree compares a rule with a row of readelf.
func agree(a Arch, r Rule, row dumpRow) bool {
	cfa, fp, ra, bx := describe(a, r)
	same := func(ours, col string) bool {
		theirs, ok := row.cols[col]
		if !ok || theirs == "s" {
			theirs = "u"
		}
		if theirs == "vexp" {
			theirs = "exp"
		}
		return ours == "?" || ours == theirs || ours == "exp" && strings.HasPrefix(theirs, "r")
	}
	if r.Kind == KindSignal {
		return a == ARM64 || row.cols["CFA"] == "exp" && row.cols["ra"] == "exp"
	}
	frame := "rbp"
	if a == ARM64 {
		frame = "x29"
	}
	return same(cfa, "CFA") && same(fp, frame) && same(ra, "ra") && same(bx, "rbx")
}

// compare checks each row of readelf against the table, and each row of the table
// against readelf.
func compare(t *testing.T, tab *Table, fdes []dumpFDE) (checked, none int) {
	t.Helper()
	slices.SortStableFunc(fdes, func(a, b dumpFDE) int { return int(int64(a.lo - b.lo)) })
	bad := 0
	check := func(pc uint64, row dumpRow) {
		r := tab.Find(pc)
		checked++
		if r.Kind == KindNone {
			none++
			return
		}
		if !agree(tab.Arch, r, row) {
			if bad++; bad < 20 {
				t.Errorf("%#x: %v, readelf has %v", pc, r, row)
			}
		}
	}
	for i, f := range fdes {
		hi := f.hi
		if i+1 < len(fdes) {
			hi = min(hi, fdes[i+1].lo)
		}
		if f.lo >= hi || i > 0 && fdes[i-1].lo == f.lo {
			continue
		}
		for j, row := range f.rows {
			if row.pc >= hi || j+1 < len(f.rows) && f.rows[j+1].pc == row.pc {
				continue
			}
			check(row.pc, row)
		}
		j := 0
		for n := max(tab.Search(f.lo), 0); n < tab.Len(); n++ {
			pc := tab.Base + uint64(tab.Row(n).PC)
			if pc >= hi || len(f.rows) == 0 {
				break
			}
			for j+1 < len(f.rows) && f.rows[j+1].pc <= pc {
				j++
			}
			if pc >= f.lo {
				check(pc, f.rows[j])
			}
		}
	}
	return checked, none
}

func TestAgainstReadelf(t *testing.T) {
	files := map[string][]string{
		"readelf": {
			"/lib/x86_64-linux-gnu/libc.so.6", "/lib/x86_64-linux-gnu/libcrypto.so.3", "/lib64/ld-linux-x86-64.so.2",
			"/usr/lib/x86_64-linux-gnu/libstdc++.so.6", "/usr/lib/postgresql/15/bin/postgres", "/usr/bin/redis-server",
			"/usr/bin/perl", "/usr/bin/python3", "/usr/bin/node", buildCPP(t),
		},
		"aarch64-linux-gnu-readelf": {
			"/usr/aarch64-linux-gnu/lib/libc.so.6", "/usr/aarch64-linux-gnu/lib/libstdc++.so.6",
			"/usr/aarch64-linux-gnu/lib/ld-linux-aarch64.so.1",
		},
	}
	for readelf, paths := range files {
		for _, path := range paths {
			t.Run(filepath.Base(path), func(t *testing.T) {
				_, tab := openFile(t, path, Options{})
				fdes := readelfFrames(t, readelf, path)
				checked, none := compare(t, tab, fdes)
				t.Logf("%d FDEs, %d rows compared, %d of them without a rule", len(fdes), checked, none)
				if len(fdes) == 0 || checked < len(fdes) || float64(none) > 0.005*float64(checked) {
					t.Errorf("%d FDEs, %d rows compared, %d without a rule", len(fdes), checked, none)
				}
			})
		}
	}
}
