package store

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/gzip"
)

// maxFile bounds a file, compressed and not. Merging keeps files far below.
const maxFile = 32 << 20

// A reader reads files of the store, using its memory again. The zero value works; it is not safe for concurrent use.
type reader struct {
	raw, out bytes.Buffer
	gz       gzip.Reader
}

// read returns the uncompressed content of a file, valid until the next call. An error that is not one of the file system
// means that the file is damaged.
func (r *reader) read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil {
		return nil, err
	} else if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("read %s: not a regular file", path)
	}
	r.raw.Reset()
	if err := limited(&r.raw, f); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	out, err := r.unzip(r.raw.Bytes())
	if err != nil {
		return nil, fmt.Errorf("decompress %s: %w", path, err)
	}
	return out, nil
}

func (r *reader) unzip(b []byte) ([]byte, error) {
	if err := r.gz.Reset(bytes.NewReader(b)); err != nil {
		return nil, err
	}
	r.out.Reset()
	err := limited(&r.out, &r.gz)
	return r.out.Bytes(), err
}

func limited(b *bytes.Buffer, from io.Reader) error {
	n, err := b.ReadFrom(io.LimitReader(from, maxFile+1))
	if err == nil && n > maxFile {
		err = fmt.Errorf("larger than %d bytes", maxFile)
	}
	return err
}
