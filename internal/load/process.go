package load

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

// Process is what a process has used so far.
type Process struct {
	CPU time.Duration // user and system time of all its threads, to 10 ms
	RSS int64         // resident memory in bytes
}

// clockTick is the unit of the times in /proc/PID/stat. It is 10 ms on every
// architecture Go runs on (USER_HZ is 100).
const clockTick = 10 * time.Millisecond

// ReadProcess reads the usage of a running process from /proc, so it works on Linux
// alone.
func ReadProcess(pid int) (Process, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Process{}, fmt.Errorf("process %d: %w", pid, err)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return Process{}, fmt.Errorf("process %d: %w", pid, err)
	}
	cpu, err := parseStat(stat)
	if err != nil {
		return Process{}, fmt.Errorf("process %d: %w", pid, err)
	}
	rss, err := parseStatus(status)
	if err != nil {
		return Process{}, fmt.Errorf("process %d: %w", pid, err)
	}
	return Process{cpu, rss}, nil
}

// parseStat returns user plus system time. Fields are counted from the last
// parenthesis, because the program's name before it may hold anything: utime and
// stime are the 12th and 13th after it (proc_pid_stat(5)).
func parseStat(stat []byte) (time.Duration, error) {
	_, rest, ok := bytes.Cut(stat[max(bytes.LastIndexByte(stat, ')'), 0):], []byte(")"))
	fields := bytes.Fields(rest)
	if !ok || len(fields) < 13 {
		return 0, errors.New("stat: too few fields")
	}
	user, err1 := strconv.ParseInt(string(fields[11]), 10, 64)
	system, err2 := strconv.ParseInt(string(fields[12]), 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		return 0, fmt.Errorf("stat: %w", err)
	}
	return time.Duration(user+system) * clockTick, nil
}

// parseStatus returns the resident memory.
func parseStatus(status []byte) (int64, error) {
	for line := range bytes.Lines(status) {
		rest, ok := bytes.CutPrefix(line, []byte("VmRSS:"))
		if !ok {
			continue
		}
		fields := bytes.Fields(rest)
		if len(fields) == 2 && string(fields[1]) == "kB" {
			kb, err := strconv.ParseInt(string(fields[0]), 10, 64)
			return kb << 10, err
		}
	}
	return 0, errors.New("status: no line VmRSS, the process has ended")
}
