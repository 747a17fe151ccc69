package export

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"crypto/rand"
)

// A file of the spool is a header and the body of one request. It is written under another name, synced, renamed, and
// the folder is synced: after a crash it is there whole or not at all.
//
//	0 magic  8 checksum of all that follows (CRC-32C)  12 profiles  16 time, Unix nanoseconds  24 body
const (
	spoolMagic     = "ebpfpsh1"
	spoolHeader    = 24
	spoolExt       = ".push"
	spoolUnfinish  = "new-"
	maxSpoolFile   = 64 << 20
	spoolFileBlock = 4096 // what a file takes at least, so that bytes bound their number as well
)

var errSpoolCorrupt = errors.New("spool file is damaged")

// A spool is a folder of requests. It keeps no state: what is in it is what outbox knows of it.
type spool struct{ dir string }

// A spoolFile is what the name of a file says: when its profiles were taken and how many they are, so that a damaged
// file can be accounted for.
type spoolFile struct {
	name     string
	at       time.Time
	profiles int
	size     int64
}

// openSpool makes the folder and returns its files, oldest first. What an earlier run left unfinished is removed;
// files with other names are left alone.
func openSpool(dir string) (*spool, []spoolFile, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("open spool: %w", err)
	}
	entries, err := os.ReadDir(dir) // sorted by name, which begins with the time
	if err != nil {
		return nil, nil, fmt.Errorf("open spool: %w", err)
	}
	var files []spoolFile
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), spoolUnfinish) && strings.HasSuffix(e.Name(), spoolExt) {
			os.Remove(filepath.Join(dir, e.Name()))
			continue
		}
		f, ok := parseSpoolName(e.Name())
		info, err := e.Info()
		if !ok || err != nil || !info.Mode().IsRegular() {
			continue
		}
		f.size = max(info.Size(), spoolFileBlock)
		files = append(files, f)
	}
	return &spool{dir}, files, nil
}

func spoolName(b batch) string {
	var random [4]byte
	_, _ = rand.Read(random[:]) // never fails
	return fmt.Sprintf("%020d-%s-%d%s", max(b.at.UnixNano(), 0), hex.EncodeToString(random[:]), b.profiles, spoolExt)
}

func parseSpoolName(name string) (spoolFile, bool) {
	stem, ok := strings.CutSuffix(name, spoolExt)
	parts := strings.Split(stem, "-")
	if !ok || len(parts) != 3 {
		return spoolFile{}, false
	}
	at, err := strconv.ParseInt(parts[0], 10, 64)
	profiles, err2 := strconv.ParseUint(parts[2], 10, 31)
	if err != nil || err2 != nil || at < 0 || profiles == 0 {
		return spoolFile{}, false
	}
	return spoolFile{name: name, at: time.Unix(0, at), profiles: int(profiles)}, true
}

// write keeps b until remove. It returns when the file is on disk.
func (s *spool) write(b batch) (spoolFile, error) {
	f, err := os.CreateTemp(s.dir, spoolUnfinish+"*"+spoolExt)
	if err != nil {
		return spoolFile{}, fmt.Errorf("write spool: %w", err)
	}
	name := spoolName(b)
	data := encodeSpool(b)
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(s.dir, name))
	}
	if err == nil {
		err = s.sync()
	}
	if err != nil {
		os.Remove(f.Name())
		os.Remove(filepath.Join(s.dir, name))
		return spoolFile{}, fmt.Errorf("write spool: %w", err)
	}
	return spoolFile{name, b.at, b.profiles, max(int64(len(data)), spoolFileBlock)}, nil
}

func (s *spool) sync() error {
	d, err := os.Open(s.dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// read returns a file's batch. An error that is errSpoolCorrupt stays; any other may pass.
func (s *spool) read(name string) (batch, error) {
	f, err := os.Open(filepath.Join(s.dir, name))
	if err != nil {
		return batch{}, fmt.Errorf("read spool: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSpoolFile+1))
	if err != nil {
		return batch{}, fmt.Errorf("read spool: %w", err)
	}
	b, err := decodeSpool(data)
	if err != nil {
		return batch{}, fmt.Errorf("read spool file %s: %w", name, err)
	}
	return b, nil
}

func (s *spool) remove(name string) { os.Remove(filepath.Join(s.dir, name)) }

func castagnoli(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

func encodeSpool(b batch) []byte {
	data := make([]byte, spoolHeader, spoolHeader+len(b.body))
	copy(data, spoolMagic)
	binary.LittleEndian.PutUint32(data[12:], uint32(b.profiles))
	binary.LittleEndian.PutUint64(data[16:], uint64(b.at.UnixNano()))
	data = append(data, b.body...)
	binary.LittleEndian.PutUint32(data[8:], castagnoli(data[12:]))
	return data
}

func decodeSpool(data []byte) (batch, error) {
	if len(data) <= spoolHeader || len(data) > maxSpoolFile || !bytes.HasPrefix(data, []byte(spoolMagic)) ||
		binary.LittleEndian.Uint32(data[8:]) != castagnoli(data[12:]) {
		return batch{}, errSpoolCorrupt
	}
	profiles := binary.LittleEndian.Uint32(data[12:])
	if profiles == 0 || profiles > 1<<30 {
		return batch{}, errSpoolCorrupt
	}
	at := time.Unix(0, int64(binary.LittleEndian.Uint64(data[16:])))
	return batch{at: at, profiles: int(profiles), body: data[spoolHeader:]}, nil
}
