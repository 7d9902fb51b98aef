//go:build linux

package generator

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

// readCPU returns the processor time that the threads of a process have had, user and
// system, to the nanosecond: /proc/PID/stat knows the same to 10 ms. What a thread has
// had that has ended is lost; none of the servers ends threads in numbers.
func readCPU(pid int) (time.Duration, error) {
	dir := fmt.Sprintf("/proc/%d/task", pid)
	tasks, err := os.ReadDir(dir)
	if err != nil {
		return 0, fmt.Errorf("CPU of the server: %w", err)
	}
	var all time.Duration
	for _, task := range tasks {
		b, err := os.ReadFile(dir + "/" + task.Name() + "/schedstat")
		if errors.Is(err, os.ErrNotExist) {
			continue // it has ended since
		}
		first, _, _ := bytes.Cut(b, []byte(" "))
		ns, parseErr := strconv.ParseInt(string(first), 10, 64)
		if err := errors.Join(err, parseErr); err != nil {
			return 0, fmt.Errorf("CPU of the server: %w", err)
		}
		all += time.Duration(ns)
	}
	return all, nil
}
