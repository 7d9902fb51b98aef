package limit

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"regexp"
	"strconv"
	"time"
)

// A Rate is how much may pass: Count in each Per on average, and Burst at once. The zero value is no limit.
type Rate struct {
	Count int64
	Per   time.Duration
	Burst int64 // 0 means Count
}

// The bounds of a rate as it may be written. They keep all arithmetic within 64 bits.
const (
	MaxCount = 1 << 40
	MaxPer   = 24 * time.Hour
	maxFill  = 30 * 24 * time.Hour // for an empty bucket to be full
	minFill  = time.Microsecond
)

var (
	rateForm = regexp.MustCompile(`^(\d+)(KiB|MiB|GiB)?/(\d*)(ms|s|m|h)(?: burst (\d+)(KiB|MiB|GiB)?)?$`)
	unitOf   = map[string]int64{"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
	perOf    = map[string]time.Duration{"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour}

	errForm = errors.New(`is no rate: write it like 100/s, 30/10s, "20/s burst 200" or "1MiB/s burst 8MiB", or off`)
)

// ParseRate takes a rate as written in a configuration: a number, a slash and a time, as in "100/s" or "30/10s"; how much may
// come at once can follow, as in "20/s burst 200", else it is the same number. Numbers of bytes may be written like 64KiB.
// "off" is no limit.
func ParseRate(s string) (Rate, error) {
	if s == "off" {
		return Rate{}, nil
	}
	m := rateForm.FindStringSubmatch(s)
	if m == nil {
		return Rate{}, fmt.Errorf("%q %w", s, errForm)
	}
	r := Rate{Per: perOf[m[4]]}
	var err, more error
	r.Count, err = amount(m[1], m[2])
	if m[3] != "" {
		var n int64
		n, more = amount(m[3], "")
		err = errors.Join(err, more)
		r.Per *= time.Duration(min(n, int64(2*MaxPer/r.Per)))
	}
	if m[5] != "" {
		r.Burst, more = amount(m[5], m[6])
		err = errors.Join(err, more)
		if r.Burst == r.Count {
			r.Burst = 0 // one rate, however it is written
		}
	}
	if err == nil {
		err = r.Check()
	}
	if err != nil {
		return Rate{}, fmt.Errorf("%q %w", s, err)
	}
	return r, nil
}

var errAmount = fmt.Errorf("holds a number that is not from 1 to %d", int64(MaxCount))

func amount(digits, unit string) (int64, error) {
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 1 || n > MaxCount/unitOf[unit] {
		return 1, errAmount
	}
	return n * unitOf[unit], nil
}

// Check says what is wrong with a rate.
func (r Rate) Check() error {
	switch {
	case r == Rate{}:
		return nil
	case r.Count < 1 || r.Count > MaxCount || r.Burst < 0 || r.Burst > MaxCount:
		return errAmount
	case r.Per < time.Millisecond || r.Per > MaxPer:
		return fmt.Errorf("holds a time that is not from 1ms to %v", MaxPer)
	case span(r.burst(), r) > maxFill:
		return fmt.Errorf("needs more than %v until it lets the burst pass again", maxFill)
	case span(r.burst(), r) < minFill:
		return errors.New("is more than can be counted: write off for no limit")
	}
	return nil
}

func (r Rate) burst() int64 {
	if r.Burst == 0 {
		return r.Count
	}
	return r.Burst
}

// String returns the rate as ParseRate takes it; one of a Go program whose time is no number of milliseconds in the same way.
func (r Rate) String() string {
	if r == (Rate{}) {
		return "off"
	}
	per := r.Per.String()
	for _, unit := range []string{"h", "m", "s", "ms"} {
		if n := r.Per / perOf[unit]; n > 0 && r.Per%perOf[unit] == 0 {
			if per = unit; n > 1 {
				per = strconv.FormatInt(int64(n), 10) + unit
			}
			break
		}
	}
	text := fmt.Sprintf("%d/%s", r.Count, per)
	if r.burst() != r.Count {
		text += fmt.Sprintf(" burst %d", r.Burst)
	}
	return text
}

// MarshalText returns the rate as written in a configuration.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText takes the rate as written in a configuration.
func (r *Rate) UnmarshalText(text []byte) (err error) {
	*r, err = ParseRate(string(text))
	return err
}

// mostOwed is the longest time that is reckoned with: beyond it a bucket owes no more.
const mostOwed = time.Duration(1) << 60

// span is how long n take to leak at rate r, rounded down, so that n times one are never more than n at once.
func span(n int64, r Rate) time.Duration {
	high, low := bits.Mul64(uint64(n), uint64(r.Per))
	if high >= uint64(r.Count) {
		return mostOwed
	}
	q, _ := bits.Div64(high, low, uint64(r.Count))
	return time.Duration(min(q, uint64(mostOwed)))
}

// taken is how many leak in a time at rate r, rounded up.
func taken(d time.Duration, r Rate) int64 {
	high, low := bits.Mul64(uint64(d), uint64(r.Count))
	low, carry := bits.Add64(low, uint64(r.Per)-1, 0)
	if high += carry; high >= uint64(r.Per) {
		return math.MaxInt64
	}
	q, _ := bits.Div64(high, low, uint64(r.Per))
	return int64(min(q, math.MaxInt64))
}

// A Limit is a Rate made ready for use. The zero value is none: everything passes.
type Limit struct {
	room time.Duration // that a burst takes to leak
	each uint64        // that one does, in 1<<-fraction ns; 0 where it does not fit
	rate Rate
}

// Up to so many are reckoned in whole numbers of 1<<-fraction ns: a multiplication instead of a division.
const (
	fraction = 20
	few      = 1 << 17
)

// Limit makes the rate ready for use. A rate that Check refuses is no limit.
func (r Rate) Limit() Limit {
	if r == (Rate{}) || r.Check() != nil {
		return Limit{}
	}
	l := Limit{rate: r, room: span(r.burst(), r)}
	if high, low := bits.Mul64(uint64(r.Per), 1<<fraction); high == 0 {
		if each := low / uint64(r.Count); each < 1<<63/few {
			l.each = each
		}
	}
	return l
}

// On tells whether there is a limit.
func (l *Limit) On() bool { return l.room > 0 }

// Rate returns what the limit was made of.
func (l *Limit) Rate() Rate { return l.rate }

// cost is how long n take to leak, n being at least 0.
func (l *Limit) cost(n int64) time.Duration {
	if n <= few && l.each > 0 {
		return time.Duration(uint64(n) * l.each >> fraction)
	}
	return span(n, l.rate)
}
