//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// pinSelf keeps every thread of this process on one core, and those to come, which
// inherit it. unpin gives them back the cores that this thread had.
func pinSelf(cpu int) (unpin func(), err error) {
	var before, set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return nil, fmt.Errorf("pin: %w", err)
	}
	set.Set(cpu)
	if err := setAll(&set); err != nil {
		return nil, fmt.Errorf("pin: keep the generator on core %d (-pin=false goes without): %w", cpu, err)
	}
	return func() { setAll(&before) }, nil
}

// setAll sets the affinity of every thread of this process.
func setAll(set *unix.CPUSet) error {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, task := range tasks {
		tid, err := strconv.Atoi(task.Name())
		if err != nil {
			return err
		}
		if err := unix.SchedSetaffinity(tid, set); err != nil && err != unix.ESRCH {
			return err
		}
	}
	return nil
}

// startOn starts cmd on one core. A process inherits the affinity of the thread that
// starts it, so that thread moves there for the moment; set from outside, the
// threads which the new process has already made would stay where they are.
func startOn(cmd *exec.Cmd, cpu int) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return fmt.Errorf("pin: %w", err)
	}
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("pin: keep the server on core %d (-pin=false goes without): %w", cpu, err)
	}
	defer unix.SchedSetaffinity(0, &before)
	return cmd.Start()
}
