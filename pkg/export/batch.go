package export

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"time"

	prof "github.com/ebpfprof/ebpfprof/pkg/profile"
)

// A batch is the body of one request.
type batch struct {
	at       time.Time // that its profiles carry
	profiles int
	body     []byte // gzipped
}

// A protocol turns intervals into requests of one kind of server and its replies into what to do next.
type protocol interface {
	// encode hands the requests for iv to emit. Profiles that cannot be sent are in the tally.
	encode(iv *prof.Interval, at time.Time, emit func(batch)) tally
	// judge tells what became of b.
	judge(r reply, b batch) verdict
}

// A tally says what became of windows when they were encoded.
type tally struct {
	empty   int // windows that hold nothing
	pieces  int // profiles that there are more of because windows were split
	labels  int // labels that there was no room for
	dropped map[string]int
	err     error // the last reason, in words
}

func (t *tally) drop(reason string, n int, err error) {
	if n == 0 {
		return
	}
	if t.dropped == nil {
		t.dropped = make(map[string]int)
	}
	t.dropped[reason] += n
	t.err = err
}

// A verdict says what became of a batch. Its profiles are pushed, dropped, or those of again.
type verdict struct {
	pushed  int
	dropped map[string]int // by reason
	again   *batch         // to be sent later; nil when the batch is done with
	busy    bool           // the server asked for time; the batch is not to blame
	wait    time.Duration  // at least, before any other request; 0: as usual
	err     error          // what went wrong, nil when all are pushed
}

// maxBody bounds what a request unpacks to: nothing that we wrote is near it.
const maxBody = 256 << 20

var errBodyTooLarge = errors.New("larger than 256 MiB")

func pack(message []byte) []byte {
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed) // fails for unknown levels only
	_, _ = z.Write(message)                         // a bytes.Buffer takes everything
	_ = z.Close()
	return b.Bytes()
}

func unpack(body []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("unpack request: %w", err)
	}
	message, err := io.ReadAll(io.LimitReader(z, maxBody+1))
	if err == nil && len(message) > maxBody {
		err = errBodyTooLarge
	}
	if err != nil {
		return nil, fmt.Errorf("unpack request: %w", err)
	}
	return message, nil
}
