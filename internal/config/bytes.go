package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Bytes is a size in bytes. It is written as a whole number, or with a unit: 512KiB, 64MiB, 2GiB.
type Bytes int64

var units = []struct {
	name  string
	shift uint
}{{"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}}

// parseBytes takes a size as written.
func parseBytes(text string) (Bytes, error) {
	digits, shift := text, uint(0)
	for _, u := range units {
		if rest, ok := strings.CutSuffix(text, u.name); ok {
			digits, shift = strings.TrimSpace(rest), u.shift
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n > math.MaxInt64>>shift {
		return 0, fmt.Errorf("%q is no size: write it like 65536, 64KiB, 16MiB or 2GiB", text)
	}
	return Bytes(n << shift), nil
}

// String returns the size as written in a file, with the largest unit that keeps it whole.
func (b Bytes) String() string {
	for i := len(units) - 1; i >= 0; i-- {
		if u := units[i]; b != 0 && b%(1<<u.shift) == 0 {
			return strconv.FormatInt(int64(b>>u.shift), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(b), 10)
}
