//go:build unix

package load

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// spareFiles is what a process needs beside its connections.
const spareFiles = 32

// checkFiles reports that this process may not open so many connections. The Go
// runtime has already raised the soft limit to the hard one.
func checkFiles(connections int) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return nil // unknown: let the system decide
	}
	if need := uint64(connections + spareFiles); need > uint64(limit.Cur) {
		return fmt.Errorf("connections: %d need %d open files, this process may have %d (see ulimit -n)", connections, need, limit.Cur)
	}
	return nil
}
