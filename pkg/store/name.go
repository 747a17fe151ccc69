package store

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A level is how far intervals are merged. Each interval is in one level only.
type level uint8

const (
	levelWindow level = iota // as they were added
	level5m
	level1h
	numLevels = iota
)

// String is the name of the level's directory.
func (l level) String() string { return [numLevels]string{"window", "5m", "1h"}[l] }

// length is how much of the clock an interval of the level takes in: those that start in the same stretch are merged.
func (l level) length() time.Duration {
	return [numLevels]time.Duration{0, 5 * time.Minute, time.Hour}[l]
}

// keep is how long after a stretch has ended its parts stay what they are: the last minutes are shown by the window, and
// a query over the last hour must not be answered with whole hours of the clock.
func (l level) keep() time.Duration {
	return [numLevels]time.Duration{0, 5 * time.Minute, time.Hour}[l]
}

// resolution is that of the totals which timelines are made of.
func (l level) resolution() time.Duration {
	return [numLevels]time.Duration{0, 10 * time.Second, time.Minute}[l]
}

// intervalName is the name of an interval's directory. Names sort by time. A sequence number makes them unique for ever:
// a merged interval lists its parts by name, and a clock may go back.
func intervalName(start time.Time, d time.Duration, seq uint64) string {
	return start.UTC().Format(nameTime) + "_" + d.String() + "_" + strconv.FormatUint(seq, 36)
}

const nameTime = "20060102T150405.000000000Z"

func parseIntervalName(name string) (start time.Time, d time.Duration, seq uint64, err error) {
	parts := strings.Split(name, "_")
	if len(parts) != 3 {
		return start, d, seq, fmt.Errorf("%q is not START_DURATION_NUMBER", name)
	}
	if start, err = time.Parse(nameTime, parts[0]); err != nil {
		return start, d, seq, err
	}
	if d, err = time.ParseDuration(parts[1]); err != nil {
		return start, d, seq, err
	}
	if seq, err = strconv.ParseUint(parts[2], 36, 64); err != nil {
		return start, d, seq, err
	}
	if !fits(start, d) || intervalName(start, d, seq) != name {
		err = fmt.Errorf("%q is not as this program writes it", name)
	}
	return start, d, seq, err
}

// fits tells whether both ends are times that nanoseconds can say: 1970 to 2200.
func fits(start time.Time, d time.Duration) bool {
	return d > 0 && d <= 366*24*time.Hour && start.Unix() >= 0 && start.Year() < 2200
}

// kindName is what may be the name of a kind, which is the name of its directory too.
var kindName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.:+-]{0,63}$`)

const (
	extension    = ".pb.gz"
	intervalFile = "interval" + extension // no series: those have a hash in their names
	allFile      = "all" + extension      // nor is this
	maxEscaped   = 80                     // bytes of a service's name in that of its file
)

// seriesFile is the name of the file of a series: enough of the service to be found by eye, and a hash of all of it. The
// series itself is in the file.
func seriesFile(service, key string) string {
	sum := sha256.Sum256([]byte(key))
	return escape(service, maxEscaped) + "-" + hex.EncodeToString(sum[:8]) + extension
}

// escape makes s safe as the start of a file name: what is no letter, digit, dash, dot or underscore becomes %XX, and so
// does a leading dot or dash. The result has at most limit bytes.
func escape(s string, limit int) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_',
			i > 0 && (c == '-' || c == '.'):
			if b.Len() == limit {
				return b.String()
			}
			b.WriteByte(c)
		default:
			if b.Len()+3 > limit {
				return b.String()
			}
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
