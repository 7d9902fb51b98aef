package session

import (
	"hocket.dev/dialect"
	"hocket.dev/internal/rule"
)

// checkChannel tells what is wrong with the name of a channel that a client wants to use.
func checkChannel(name string) *dialect.Error {
	if err := rule.CheckChannel(name); err != nil {
		if rule.IsPattern(name) {
			if _, err := rule.ParsePattern(name); err == nil {
				return dialect.Errorf(dialect.NotSupported, "patterns of channels are not supported yet")
			}
		}
		return dialect.Errorf(dialect.InvalidChannel, "%v", err)
	}
	if rule.IsReserved(name) {
		return dialect.Errorf(dialect.PermissionDenied, "%s is the server's own", name)
	}
	return nil
}
