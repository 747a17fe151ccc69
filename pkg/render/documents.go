package render

import (
	"io"

	"github.com/google/pprof/profile"
)

// Documents writes {"documents":[...]} as the page in one file reads it: p, then what it is compared with.
func Documents(w io.Writer, p *profile.Profile, o StacksOptions, base ...Base) error {
	if _, err := io.WriteString(w, `{"documents":[`); err != nil {
		return err
	}
	if err := Stacks(w, p, o); err != nil {
		return err
	}
	for _, b := range base {
		if _, err := io.WriteString(w, ","); err != nil {
			return err
		}
		if err := Stacks(w, b.Profile, b.Options); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, "]}\n")
	return err
}

// A Base is a profile that another one is compared with.
type Base struct {
	Profile *profile.Profile
	Options StacksOptions
}
