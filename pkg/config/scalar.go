package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// A Duration is written as "10s", "1h30m" or "7d".
type Duration time.Duration

const day = 24 * time.Hour

// UnmarshalText takes what time.ParseDuration does, after days: "7d", "1d12h". It refuses negative ones.
func (d *Duration) UnmarshalText(text []byte) error {
	s, whole := string(text), time.Duration(0)
	if days, rest, ok := strings.Cut(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return fmt.Errorf("%q is no duration: write it as 10s, 1h30m or 7d", s)
		}
		whole, s = time.Duration(n)*day, rest
	}
	if s != "" || whole == 0 && len(text) == 0 {
		rest, err := time.ParseDuration(s)
		if err != nil || rest < 0 || whole+rest < 0 {
			return fmt.Errorf("%q is no duration: write it as 10s, 1h30m or 7d", text)
		}
		whole += rest
	}
	*d = Duration(whole)
	return nil
}

// MarshalText is the shortest form that UnmarshalText reads.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

func (d Duration) String() string {
	whole, rest := time.Duration(d)/day, time.Duration(d)%day
	s := ""
	if whole > 0 {
		s = strconv.FormatInt(int64(whole), 10) + "d"
		if rest == 0 {
			return s
		}
	}
	text := rest.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return s + text
}

// A Size is a number of bytes, written as "1GiB", "512MB" or "4096".
type Size int64

// units are tried from the end, so that "B" of "MiB" is not taken for bytes.
func units() []struct {
	suffix string
	bytes  int64
} {
	return []struct {
		suffix string
		bytes  int64
	}{
		{"B", 1}, {"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12},
		{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	}
}

// UnmarshalText takes a whole number with a unit; without one it is in bytes.
func (s *Size) UnmarshalText(text []byte) error {
	number, factor := strings.TrimSpace(string(text)), int64(1)
	all := units()
	for i := len(all) - 1; i >= 0; i-- {
		if rest, ok := strings.CutSuffix(number, all[i].suffix); ok {
			number, factor = strings.TrimSpace(rest), all[i].bytes
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/factor {
		return fmt.Errorf("%q is no size: write it as 64MiB, 1GiB or a number of bytes", text)
	}
	*s = Size(n * factor)
	return nil
}

// MarshalText uses the largest binary unit that divides the size.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func (s Size) String() string {
	all := units()
	for i := len(all) - 1; i >= 0; i-- {
		u := all[i]
		if strings.HasSuffix(u.suffix, "iB") && s != 0 && int64(s)%u.bytes == 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.suffix
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// A Fraction is from 0 to 1; 0 is written "off".
type Fraction float64

// UnmarshalText takes a number from 0 to 1, or "off".
func (f *Fraction) UnmarshalText(text []byte) error {
	if string(text) == "off" {
		*f = 0
		return nil
	}
	n, err := strconv.ParseFloat(string(text), 64)
	if err != nil || !(n >= 0 && n <= 1) {
		return fmt.Errorf("%q is no fraction: write a number from 0 to 1, or off", text)
	}
	*f = Fraction(n)
	return nil
}

// MarshalYAML writes a number, or "off".
func (f Fraction) MarshalYAML() (any, error) {
	if f == 0 {
		return "off", nil
	}
	return float64(f), nil
}

// A Percent is from 0 to 100, written "1%" or "1".
type Percent float64

// UnmarshalText takes a number from 0 to 100, with or without the sign.
func (p *Percent) UnmarshalText(text []byte) error {
	n, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(string(text), "%")), 64)
	if err != nil || !(n >= 0 && n <= 100) {
		return fmt.Errorf("%q is no percentage: write a number from 0 to 100, such as 1%%", text)
	}
	*p = Percent(n)
	return nil
}

// MarshalText writes the sign.
func (p Percent) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

func (p Percent) String() string { return strconv.FormatFloat(float64(p), 'g', -1, 64) + "%" }
