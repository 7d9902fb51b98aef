package session

import (
	"hocket.dev/dialect"
	"hocket.dev/internal/rule"
)

// named is the channel that an error about c names: as the client wrote it, unless that is too long to be one.
func named(c *dialect.Command) string {
	if len(c.Channel) > rule.MaxName {
		return ""
	}
	return c.Channel
}

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
