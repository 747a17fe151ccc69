// Package render turns profiles into files and files into profiles. Each output
// format is one row of the formats table and one source file; every writer is
// deterministic and writes through the given io.Writer only.
//
// Profiles follow the conventions of package profile, but any valid pprof profile
// works. All names in a profile are taken as hostile: they reach a file only
// escaped for its syntax, without control characters and cut to a sane length.
package render

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/google/pprof/profile"

	prof "github.com/ebpfprof/ebpfprof/pkg/profile"
)

// An F is an output format.
type F struct {
	Name       string   // as the flag --format takes it
	Extensions []string // of file names, with the dot; the first is the usual one
	Binary     bool     // not fit for a terminal
	Doc        string   // one line for help texts

	write func(w io.Writer, p *profile.Profile, o Options) error
}

var formats = [...]F{
	{Name: "pprof", Extensions: []string{".pb.gz", ".pprof"}, Binary: true, Doc: "gzipped pprof, for go tool pprof", write: writePprof},
	{Name: "folded", Extensions: []string{".folded"}, Doc: "one stack a line, semicolons between frames, then a count", write: writeFolded},
	{Name: "svg", Extensions: []string{".svg"}, Doc: "interactive flame graph in one file", write: writeSVG},
	{Name: "speedscope", Extensions: []string{".speedscope.json"}, Doc: "JSON for speedscope.app", write: writeSpeedscope},
	{Name: "firefox", Extensions: []string{".firefox.json"}, Doc: "JSON for profiler.firefox.com", write: writeFirefox},
	{Name: "firefox-gz", Extensions: []string{".firefox.json.gz"}, Binary: true, Doc: "the same, gzipped", write: writeFirefoxGzip},
	{Name: "html", Extensions: []string{".html"}, Doc: "the interactive page in one file", write: writeHTML},
	{Name: "stacks", Extensions: []string{".stacks.json"}, Doc: "JSON as the page reads it", write: writeStacks},
	{Name: "txt", Extensions: []string{".txt"}, Doc: "table of functions by self time", write: writeTop},
}

// Options adjust an output. The zero value works.
type Options struct {
	Title string      // of graphs; "" derives one from the sample type
	Value string      // sample type to show where a format shows one; "" is the profile's default
	Rows  int         // functions in a table: 0 means 500, negative means all
	Times *prof.Times // of the profile's samples, where a format shows them; nil: not known
	// Base is what the profile is compared with; nil: nothing. Only html shows it; for others see Difference.
	Base *profile.Profile
	// Page writes a page around documents, which are what the function writes. Only html needs it, which fails without:
	// whose page it is, is not for this package to know.
	Page func(w io.Writer, title string, documents func(io.Writer) error) error
}

// Formats returns the known formats in the order of the documentation.
func Formats() []F { return slices.Clone(formats[:]) }

// Format returns the format that path's extension stands for.
func Format(path string) (F, error) {
	var best F
	longest := 0
	lower := strings.ToLower(path)
	for _, f := range formats {
		for _, ext := range f.Extensions {
			if strings.HasSuffix(lower, ext) && len(ext) > longest {
				best, longest = f, len(ext)
			}
		}
	}
	if longest == 0 {
		var known []string
		for _, f := range formats {
			known = append(known, f.Extensions...)
		}
		return F{}, fmt.Errorf("no output format has the extension of %q; known are %s", path, strings.Join(known, " "))
	}
	return best, nil
}

// FormatByName returns the format called name, without regard to a file's name.
func FormatByName(name string) (F, error) {
	known := make([]string, len(formats))
	for i, f := range formats {
		if f.Name == name {
			return f, nil
		}
		known[i] = f.Name
	}
	return F{}, fmt.Errorf("no output format is called %q; known are %s", name, strings.Join(known, " "))
}

// Write writes p to w in format f. It does not change p, and does not close w.
func Write(w io.Writer, f F, p *profile.Profile, o Options) error {
	if f.write == nil {
		return fmt.Errorf("write profile: no format given")
	}
	if err := p.CheckValid(); err != nil {
		return fmt.Errorf("write %s: %w", f.Name, err)
	}
	if _, err := prof.ValueIndex(p, o.Value); err != nil {
		return fmt.Errorf("write %s: %w", f.Name, err)
	}
	bw := bufio.NewWriterSize(w, 64<<10)
	if err := f.write(bw, p, o); err != nil {
		return fmt.Errorf("write %s: %w", f.Name, err)
	}
	if err := bw.Flush(); err != nil {
		return fmt.Errorf("write %s: %w", f.Name, err)
	}
	return nil
}

// valueIndex is prof.ValueIndex after Write has checked that it succeeds.
func valueIndex(p *profile.Profile, o Options) int {
	i, _ := prof.ValueIndex(p, o.Value)
	return i
}
