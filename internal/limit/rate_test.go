package limit

import (
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func rate(t testing.TB, text string) Rate {
	t.Helper()
	r, err := ParseRate(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRatesAreReadAndWritten(t *testing.T) {
	for text, want := range map[string]Rate{
		"off":                {},
		"100/s":              {Count: 100, Per: time.Second},
		"30/10s":             {Count: 30, Per: 10 * time.Second},
		"5/m burst 20":       {Count: 5, Per: time.Minute, Burst: 20},
		"1/24h":              {Count: 1, Per: 24 * time.Hour},
		"3/250ms burst 1":    {Count: 3, Per: 250 * time.Millisecond, Burst: 1},
		"64KiB/s burst 1MiB": {Count: 64 << 10, Per: time.Second, Burst: 1 << 20},
		"1GiB/s burst 2GiB":  {Count: 1 << 30, Per: time.Second, Burst: 2 << 30},
		"1000000000/s":       {Count: 1e9, Per: time.Second},
		"90/90m burst 1000":  {Count: 90, Per: 90 * time.Minute, Burst: 1000},
	} {
		r := rate(t, text)
		if r != want {
			t.Errorf("%q is %+v, want %+v", text, r, want)
		}
		if again := rate(t, r.String()); again.Limit() != r.Limit() {
			t.Errorf("%q is written as %q", text, r)
		}
	}
}

func TestARateOfAnyTimeIsWritten(t *testing.T) {
	r := Rate{Count: 5, Per: 1500 * time.Microsecond, Burst: 9}
	if got := r.String(); got != "5/1.5ms burst 9" {
		t.Error(got)
	}
}

func TestWhatIsNoRateIsNamed(t *testing.T) {
	for text, want := range map[string]string{
		"":                              "is no rate",
		"100":                           "is no rate",
		"fast":                          "is no rate",
		"-1/s":                          "is no rate",
		"1.5/s":                         "is no rate",
		"10/s burst":                    "is no rate",
		"10 / s":                        "is no rate",
		"0/s":                           "from 1 to",
		"10/s burst 0":                  "from 1 to",
		"10/0s":                         "from 1 to",
		"9999999999999/s":               "from 1 to",
		"99999999999999999999999/s":     "from 1 to",
		"1025GiB/s":                     "from 1 to",
		"10/25h":                        "from 1ms to 24h",
		"10/999999999999h":              "from 1ms to 24h",
		"1/24h burst 31":                "more than 720h",
		"1/24h burst 1099511627776":     "more than 720h",
		"1024GiB/ms burst 1":            "more than can be counted",
		"1099511627776/s burst 1000000": "more than can be counted",
	} {
		if r, err := ParseRate(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v; want an error with %q", text, r, err, want)
		}
	}
}

// A rate of a Go program, which nobody has checked, limits nothing rather than everything or at random.
func TestARateOutOfRangeIsNoLimit(t *testing.T) {
	for _, r := range []Rate{{Count: -1, Per: time.Second}, {Count: 1}, {Per: time.Second}, {Count: 1, Per: time.Second, Burst: -1}} {
		if l := r.Limit(); l.On() {
			t.Errorf("%+v limits", r)
		}
	}
}

func FuzzParseRate(f *testing.F) {
	for _, seed := range []string{"off", "100/s", "30/10s", "1MiB/s burst 8MiB", "8MiB/s burst 8388608", "1/24h burst 30", "9223372036854775807/9223372036854775807h"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseRate(text)
		if err != nil {
			return
		}
		again, err := ParseRate(r.String())
		if err != nil || again.Limit() != r.Limit() {
			t.Fatalf("%q is written as %q, which is %+v, %v", text, r, again, err)
		}
		l := r.Limit()
		if l.On() == (r == Rate{}) {
			t.Fatalf("%q: is a limit: %v", text, l.On())
		}
		var b Bucket
		if wait := b.Take(&l, 0, r.burst()); wait != 0 {
			t.Fatalf("%q: the burst has to wait %v", text, wait)
		}
	})
}
