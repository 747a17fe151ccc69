package main

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
)

func TestSpreadOf(t *testing.T) {
	for _, test := range []struct {
		figures                  []float64
		mean, deviation, percent float64
	}{
		{nil, 0, 0, 0},
		{[]float64{7}, 7, 0, 0},
		{[]float64{0, 0}, 0, 0, 0},
		{[]float64{10, 10, 10}, 10, 0, 0},
		// Variance (1+0+1)/2 = 1, of the mean 1/3.
		{[]float64{9, 10, 11}, 10, math.Sqrt(1.0 / 3), 10 * math.Sqrt(1.0/3)},
	} {
		s := spreadOf(test.figures)
		if s.runs != len(test.figures) || math.Abs(s.mean-test.mean) > 1e-12 ||
			math.Abs(s.deviation-test.deviation) > 1e-12 || math.Abs(s.percent()-test.percent) > 1e-12 {
			t.Errorf("%v: %+v, %v %%", test.figures, s, s.percent())
		}
	}
}

// Means of two runs whose sum the counting has: a value is the mean, a ratio that of the sums.
func TestStatOfRepeatedRuns(t *testing.T) {
	c, sum := sampleCounting(t)
	c.repeat = 2
	c.repeated = &repetition{runs: 2, seconds: spreadOf([]float64{0.9, 1.1}), events: map[string]spread{
		"cycles": spreadOf([]float64{2e9, 4e9}), "instructions": spreadOf([]float64{4.5e9, 4.5e9}),
	}}
	var b bytes.Buffer
	if err := c.printText(&b, &sum); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"2 runs of 1.000000 s ( +-10.00% ), means", "3,000,000,000      cycles", "( +-33.33% )",
		"4,500,000,000      instructions             #      1.50  insn per cycle", "( +-0.00% )",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	b.Reset()
	if err := c.printJSON(&b, &sum); err != nil {
		t.Fatal(err)
	}
	var r statReport
	if err := json.Unmarshal(b.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	e := r.Events["cycles"]
	if r.Runs != 2 || math.Abs(r.DurationSeconds-1) > 1e-9 || e.Value == nil || *e.Value != 3e9 ||
		e.StandardError == nil || math.Abs(*e.StandardError-1e9) > 1 {
		t.Errorf("%s", b.String())
	}
	if r.Derived["instructions_per_cycle"] != 1.5 {
		t.Errorf("derived %v", r.Derived)
	}
}
