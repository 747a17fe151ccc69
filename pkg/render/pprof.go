package render

import (
	"io"

	"github.com/google/pprof/profile"
)

// writePprof writes profile.proto, gzipped, as every pprof reader takes it.
func writePprof(w io.Writer, p *profile.Profile, _ Options) error { return p.Write(w) }
