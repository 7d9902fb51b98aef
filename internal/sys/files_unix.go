//go:build unix

package sys

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// RaiseFileLimit raises the number of files that this process may have open to the hard limit, and returns it. When it
// cannot be raised, the error says why and files is the limit that stays. 0 means that the limit is not known.
func RaiseFileLimit() (files uint64, err error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("read the open-file limit: %w", err)
	}
	before := limit.Cur
	limit.Cur = limit.Max
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return uint64(before), fmt.Errorf("raise the open-file limit from %d to %d: %w", before, limit.Max, err)
	}
	return uint64(limit.Cur), nil
}

// outOfFiles tells whether err says that this process, or the whole system, has as many files open as it may.
func outOfFiles(err error) bool { return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) }
