package api

import (
	"context"
	"strconv"

	"hocket.dev/dialect"
	"hocket.dev/dialect/native"
	"hocket.dev/internal/jsonval"
)

// maxName is how many bytes a user's id or a session's name may have.
const maxName = 255

// Info is what a node tells about itself.
type Info struct {
	Node     string
	Version  string
	UptimeMS int64
	Sessions int      // on this node
	Channels int      // followed on this node
	Features []string // as clients are told
}

func (h *Handler) info(_ context.Context, dst, body []byte) ([]byte, *dialect.Error) {
	if _, err := scan(body); err != nil {
		return nil, err
	}
	i := h.cfg.Info()
	dst = jsonval.AppendString(append(dst, `{"node":`...), i.Node)
	dst = jsonval.AppendString(append(dst, `,"version":`...), i.Version)
	dst = strconv.AppendInt(append(dst, `,"uptime_ms":`...), i.UptimeMS, 10)
	dst = strconv.AppendInt(append(dst, `,"sessions":`...), int64(i.Sessions), 10)
	dst = strconv.AppendInt(append(dst, `,"channels":`...), int64(i.Channels), 10)
	dst = appendStrings(append(dst, `,"features":`...), i.Features)
	return append(dst, '}'), nil
}

// send brings an event to a session, or to all sessions of a user.
func (h *Handler) send(ctx context.Context, dst, body []byte) ([]byte, *dialect.Error) {
	f, err := scan(body, "session", "user", "payload", "encoding")
	if err != nil {
		return nil, err
	}
	session, err := f.text(dialect.InvalidMessage, "session", maxName)
	if err != nil {
		return nil, err
	}
	user, err := f.text(dialect.InvalidMessage, "user", maxName)
	if err != nil {
		return nil, err
	}
	switch {
	case (session == "") == (user == ""):
		return nil, dialect.Errorf(dialect.InvalidMessage, "an event goes to a session or to a user: name one of them")
	case f["payload"] == nil:
		return nil, dialect.Errorf(dialect.InvalidPayload, "payload is missing: an event carries one JSON value")
	}
	payload, format, err := native.DecodePayload(f["payload"], f["encoding"])
	if err != nil {
		return nil, err
	}
	n, failed := h.cfg.Node.Send(ctx, session, user, payload, format)
	if failed != nil {
		return nil, dialect.Errorf(dialect.Timeout, "not every session could be asked in time: %d got it", n)
	}
	return append(strconv.AppendInt(append(dst, `{"sessions":`...), int64(n), 10), '}'), nil
}
