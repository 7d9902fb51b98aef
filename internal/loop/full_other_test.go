//go:build !linux

package loop

import "errors"

// serveFull has nothing to serve: loops accept on Linux only.
func serveFull() error { return errors.ErrUnsupported }
