//go:build !unix

package sys

// RaiseFileLimit does nothing where processes have no limit of their own: files is 0, not known.
func RaiseFileLimit() (files uint64, err error) { return 0, nil }

// outOfFiles tells whether err says that this process has as many files open as it may.
func outOfFiles(error) bool { return false }
