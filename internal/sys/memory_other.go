//go:build !linux

package sys

// MemoryLimit returns how many bytes of memory this process may use; it is 0, not known, on this system.
func MemoryLimit() uint64 { return 0 }
