package render

import (
	"cmp"
	"errors"
	"fmt"
	"io"

	"github.com/google/pprof/profile"

	prof "github.com/ebpfprof/ebpfprof/pkg/profile"
)

// A Document is a profile with what the page is to know of it.
type Document struct {
	Profile *profile.Profile
	Options StacksOptions
}

// Documents writes {"documents":[...]} as the page in one file reads it: a profile, then what it is compared with, if
// anything.
func Documents(w io.Writer, documents ...Document) error {
	before := `{"documents":[`
	for _, d := range documents {
		if _, err := io.WriteString(w, before); err != nil {
			return err
		}
		if err := Stacks(w, d.Profile, d.Options); err != nil {
			return err
		}
		before = ","
	}
	_, err := io.WriteString(w, "]}\n")
	return err
}

func writeHTML(w io.Writer, p *profile.Profile, o Options) error {
	if o.Page == nil {
		return errors.New("no page to put it in")
	}
	value := valueIndex(p, o)
	documents := []Document{{p, StacksOptions{Title: o.Title, Value: o.Value, Times: o.Times}}}
	if o.Base != nil {
		if err := o.Base.CheckValid(); err != nil {
			return fmt.Errorf("base: %w", err)
		}
		// The same type of both, whatever the base's default is.
		if _, err := prof.ValueIndex(o.Base, p.SampleType[value].Type); err != nil {
			return fmt.Errorf("base: %w", err)
		}
		documents = append(documents, Document{o.Base, StacksOptions{Title: "base", Value: p.SampleType[value].Type}})
	}
	title := cmp.Or(clean(o.Title), valueTitle(prof.Summarize(p, value).Type))
	return o.Page(w, title, func(w io.Writer) error { return Documents(w, documents...) })
}
