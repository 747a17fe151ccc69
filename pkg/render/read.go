package render

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/google/pprof/profile"
)

// Read reads a profile of any known input format: pprof, folded stacks or
// speedscope JSON, each gzipped or not. The content decides which; name is used
// for error messages and where the content leaves it open.
func Read(r io.Reader, name string) (*profile.Profile, error) {
	data, err := readAll(r, maxInput)
	if err == nil && bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
		data, err = gunzip(data)
	}
	if err != nil {
		return nil, fmt.Errorf("read profile %s: %w", name, err)
	}
	format, parse := sniff(data, name)
	p, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("read profile %s as %s: %w", name, format, err)
	}
	return p, nil
}

func readAll(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("larger than %s", quantity(limit, "bytes"))
	}
	return data, nil
}

func gunzip(data []byte) ([]byte, error) {
	zr, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("decompress: %w", err)
	}
	out, err := readAll(zr, maxInput)
	if err != nil {
		return nil, fmt.Errorf("decompress: %w", err)
	}
	return out, nil
}

type parser func([]byte) (*profile.Profile, error)

// sniff tells the format of data. A protobuf profile has a NUL byte, as its string
// table starts with an empty string; text has none.
func sniff(data []byte, name string) (string, parser) {
	switch head := bytes.TrimSpace(data[:min(len(data), 4096)]); {
	case len(data) == 0:
		return "profile", func([]byte) (*profile.Profile, error) { return nil, errors.New("empty file") }
	case bytes.IndexByte(data, 0) >= 0:
		return "pprof", readPprof
	case len(head) > 1 && head[0] == '{' && bytes.HasPrefix(bytes.TrimSpace(head[1:]), []byte(`"`)):
		return "speedscope JSON", readSpeedscope
	}
	switch path.Ext(strings.TrimSuffix(strings.ToLower(name), ".gz")) {
	case ".pb", ".pprof":
		return "pprof", readPprof
	}
	return "folded stacks", readFolded
}

func readPprof(data []byte) (*profile.Profile, error) {
	p, err := profile.ParseUncompressed(data)
	if err != nil {
		return nil, err
	}
	if err := p.CheckValid(); err != nil {
		return nil, err
	}
	if len(p.SampleType) == 0 {
		return nil, errors.New("no sample types")
	}
	return p, nil
}
