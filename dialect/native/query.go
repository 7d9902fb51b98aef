package native

import (
	"net/url"
	"unicode/utf8"

	"hocket.dev/dialect"
	"hocket.dev/internal/jsonval"
)

// decodeQuery makes the commands that the query of a handshake contains: a Connect for user, client and heartbeat, then a
// Subscribe for each channel. They have no id, so they get no reply, only an error when they fail.
func decodeQuery(q url.Values) ([]dialect.Command, *dialect.Error) {
	var commands []dialect.Command
	binary, err := queryBool(q, "binary")
	if binary {
		err = dialect.Errorf(dialect.NotSupported,
			`binary messages are not supported yet: payloads that are not JSON come as base64 with "encoding":"base64"`)
	}
	if err != nil {
		commands = append(commands, dialect.Command{Err: err})
	}
	heartbeat, err := queryBool(q, "heartbeat")
	if err != nil {
		commands = append(commands, dialect.Command{Err: err})
	}
	user := q.Get("user")
	if len(user) > maxUser {
		err := dialect.Errorf(dialect.InvalidMessage, "user must have at most %d bytes, not %d", maxUser, len(user))
		return nil, err
	}
	client := q.Get("client")
	switch {
	case len(client) > maxClient:
		return nil, dialect.Errorf(dialect.InvalidKey, "client must have at most %d bytes, not %d", maxClient, len(client))
	case !utf8.ValidString(client):
		return nil, dialect.Errorf(dialect.InvalidKey, "client must be valid UTF-8")
	case client == jsonval.Proto:
		return nil, dialect.Errorf(dialect.InvalidKey, "client %s", jsonval.NotTaken)
	}
	if user != "" || client != "" || heartbeat {
		commands = append(commands, dialect.Command{
			Verb:    dialect.Connect,
			Connect: &dialect.ConnectArgs{User: user, Client: client, Heartbeat: heartbeat},
		})
	}
	for _, channel := range q["channel"] {
		commands = append(commands, dialect.Command{
			Verb:      dialect.Subscribe,
			Channel:   channel,
			Subscribe: &dialect.SubscribeArgs{},
		})
	}
	return commands, nil
}

// queryBool reads a parameter that is 1 or 0; it is false when it is not there.
func queryBool(q url.Values, name string) (bool, *dialect.Error) {
	switch v := q.Get(name); v {
	case "1":
		return true, nil
	case "", "0":
		return false, nil
	default:
		return false, dialect.Errorf(dialect.InvalidMessage, "?%s= must be 1 or 0, not %s", name, excerptOf(v))
	}
}
