//go:build !unix

package load

// checkFiles reports nothing: there is no limit to ask for here.
func checkFiles(int) error { return nil }
