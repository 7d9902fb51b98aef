package load

import (
	"os"
	"runtime"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	stat := "12 (a b) (c) S 1 12 12 0 -1 4194560 100 0 0 0 150 25 9 9 20 0 5 0 100 1 1"
	if got, err := parseStat([]byte(stat)); err != nil || got != 1750*time.Millisecond {
		t.Errorf("got %v, %v, want 1.75s", got, err)
	}
	for _, bad := range []string{"", "12 (a", "12 (a) S 1", "12 (a) S 1 1 1 1 1 1 1 1 1 1 x y 1"} {
		if got, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q reads as %v", bad, got)
		}
	}
}

func TestParseStatus(t *testing.T) {
	if got, err := parseStatus([]byte("Name:\tx\nVmHWM:\t 900 kB\nVmRSS:\t    700 kB\n")); err != nil || got != 700<<10 {
		t.Errorf("got %d, %v, want %d", got, err, 700<<10)
	}
	if _, err := parseStatus([]byte("Name:\tx\nState:\tZ\n")); err == nil {
		t.Error("a process that has ended has memory")
	}
}

func TestReadProcess(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there is no /proc")
	}
	p, err := ReadProcess(os.Getpid())
	if err != nil || p.RSS < 1<<20 {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := ReadProcess(1 << 30); err == nil {
		t.Error("a process that does not exist has usage")
	}
}
