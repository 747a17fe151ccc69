package loader

import "testing"

func TestSkidOf(t *testing.T) {
	const intel = "processor\t: 0\nvendor_id\t: GenuineIntel\nflags\t\t: fpu\n"
	for _, c := range []struct {
		arch, cpuinfo string
		precise       int
		want          string
	}{
		{"amd64", intel, 2, SkidPEBS}, {"amd64", intel, 1, SkidPEBS}, {"amd64", intel, 0, SkidUnknown},
		{"amd64", "vendor_id\t: AuthenticAMD\n", 2, SkidIBS}, {"amd64", "vendor_id : CentaurHauls\n", 2, SkidUnknown},
		{"amd64", "", 2, SkidUnknown}, {"arm64", intel, 2, SkidUnknown},
	} {
		if got := skidOf(c.arch, c.cpuinfo, c.precise); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

func TestPreciseBits(t *testing.T) {
	e := Event{Name: "cycles", Frequency: 99}
	if got := e.attr(2).Bits &^ e.attr(0).Bits; got != 2<<15 { // precise_ip is bits 15 and 16 of the flags
		t.Errorf("bits %#x", got)
	}
}
