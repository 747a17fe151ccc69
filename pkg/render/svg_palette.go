package render

import (
	"fmt"
	"hash/fnv"
	"math"
	"strings"

	prof "github.com/ebpfprof/ebpfprof/pkg/profile"
)

// Colours: the kind of a frame gives its hue, the module (in Go programs, which
// are one module, the package) shifts the hue a little, the function's name shifts
// the lightness. All are hashes of names, so a function
// keeps its colour from one recording to the next.
const (
	hueShifts   = 6
	lightShifts = 3
	shades      = hueShifts * lightShifts
)

// A tone is a hue in degrees and a chroma of the OKLCH colour space.
type tone struct{ hue, chroma float64 }

var tones = [prof.NumKinds]tone{
	prof.KindNative:      {95, 0.085},
	prof.KindC:           {268, 0.085},
	prof.KindCPP:         {308, 0.085},
	prof.KindRust:        {64, 0.10},
	prof.KindGo:          {215, 0.09},
	prof.KindJIT:         {150, 0.10},
	prof.KindInterpreter: {124, 0.11},
	prof.KindInlined:     {345, 0.07},
	prof.KindKernel:      {27, 0.11},
	prof.KindVDSO:        {10, 0.06},
	prof.KindMarker:      {260, 0.0},
	prof.KindProcess:     {260, 0.018},
}

// kindElided is the row after the kinds: frames too small to be in the file.
const kindElided = prof.NumKinds

// shade returns which of its kind's colours f has.
func shade(f prof.Func) int {
	module := f.Module
	if slash := strings.LastIndexByte(f.Name, '/') + 1; f.Kind == prof.KindGo || f.Kind == prof.KindInlined {
		if dot := strings.IndexByte(f.Name[slash:], '.'); dot > 0 {
			module = f.Name[:slash+dot]
		}
	}
	return int(hash(module)%hueShifts*lightShifts + hash(f.Name)%lightShifts)
}

func hash(s string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(s))
	x := h.Sum32()
	return x ^ x>>15 // FNV's low bits are weak for short names
}

// paletteCSS returns one rule for each colour of the kinds that are present, for a
// theme with frames of this lightness.
func paletteCSS(present [prof.NumKinds + 1]bool, lightness, step float64) string {
	var b strings.Builder
	for k, t := range tones {
		if !present[k] {
			continue
		}
		for s := range shades {
			hue := t.hue + (float64(s/lightShifts)-(hueShifts-1)/2.0)*6
			light := lightness + (float64(s%lightShifts)-1)*step
			fmt.Fprintf(&b, ".fg .k%d.s%d{fill:%s}", k, s, oklch(light, t.chroma, hue))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// oklch converts a colour to sRGB as "#rrggbb", by Björn Ottosson's definition of
// Oklab (https://bottosson.github.io/posts/oklab/), clipping what sRGB cannot show.
func oklch(l, c, hue float64) string {
	sin, cos := math.Sincos(hue * math.Pi / 180)
	a, b := c*cos, c*sin
	cube := func(x float64) float64 { return x * x * x }
	long := cube(l + 0.3963377774*a + 0.2158037573*b)
	medium := cube(l - 0.1055613458*a - 0.0638541728*b)
	short := cube(l - 0.0894841775*a - 1.2914855480*b)
	channel := func(x float64) int {
		if x <= 0.0031308 {
			x *= 12.92
		} else {
			x = 1.055*math.Pow(x, 1/2.4) - 0.055
		}
		return int(math.Round(255 * min(max(x, 0), 1)))
	}
	return fmt.Sprintf("#%02x%02x%02x",
		channel(4.0767416621*long-3.3077115913*medium+0.2309699292*short),
		channel(-1.2684380046*long+2.6097574011*medium-0.3413193965*short),
		channel(-0.0041960863*long-0.7034186147*medium+1.7076147010*short))
}
