package api

import (
	"context"

	"hocket.dev/dialect"
	"hocket.dev/dialect/native"
	"hocket.dev/internal/jsonval"
	"hocket.dev/internal/rule"
)

// maxPage is the most entries, members or names a page may be asked to hold.
const maxPage = 1000

// maxAfter is how many bytes the name may have after which a page of channels begins: more than a name has, because the
// place to go on from need not be one.
const maxAfter = 2 * rule.MaxName

func (h *Handler) history(ctx context.Context, dst, body []byte) ([]byte, *dialect.Error) {
	c := native.DecodeRequest(dialect.History, body)
	if c.Err != nil {
		return nil, c.Err
	}
	page, err := h.cfg.Node.History(ctx, c.Channel, c.History)
	if err != nil {
		return nil, err
	}
	return native.AppendResult(dst, &dialect.HistoryPage{Page: page}), nil
}

// state tells the latest entry of each key.
func (h *Handler) state(ctx context.Context, dst, body []byte) ([]byte, *dialect.Error) {
	c := native.DecodeRequest(dialect.State, body)
	if c.Err != nil {
		return nil, c.Err
	}
	page, err := h.cfg.Node.State(ctx, c.Channel, c.State)
	if err != nil {
		return nil, err
	}
	return native.AppendResult(dst, page), nil
}

// presence tells who is on a channel.
func (h *Handler) presence(ctx context.Context, dst, body []byte) ([]byte, *dialect.Error) {
	c := native.DecodeRequest(dialect.Presence, body)
	if c.Err != nil {
		return nil, c.Err
	}
	page, err := h.cfg.Node.Members(ctx, c.Channel, c.Presence)
	if err != nil {
		return nil, err
	}
	return native.AppendResult(dst, page), nil
}

// channels names the channels that a pattern matches.
func (h *Handler) channels(ctx context.Context, dst, body []byte) ([]byte, *dialect.Error) {
	f, err := scan(body, "pattern", "after", "limit")
	if err != nil {
		return nil, err
	}
	pattern, err := f.pattern()
	if err != nil {
		return nil, err
	}
	after, err := f.text(dialect.InvalidMessage, "after", maxAfter)
	if err != nil {
		return nil, err
	}
	limit, err := f.whole(dialect.InvalidMessage, "limit", 1, maxPage)
	if err != nil {
		return nil, err
	}
	names, next, err := h.cfg.Node.Channels(ctx, pattern, after, int(limit))
	if err != nil {
		return nil, err
	}
	dst = appendStrings(append(dst, `{"channels":`...), names)
	if next != "" {
		dst = jsonval.AppendString(append(dst, `,"next":`...), next)
	}
	return append(dst, '}'), nil
}

// pattern reads a pattern of names; the zero one, for all, when it is not there.
func (f fields) pattern() (p rule.Pattern, failed *dialect.Error) {
	if !f.has("pattern") {
		return p, nil
	}
	text, ok := jsonval.String(f["pattern"])
	if !ok {
		return p, dialect.Errorf(dialect.InvalidChannel, "pattern must be a string, not %s", jsonval.Kind(f["pattern"]))
	}
	if rule.IsReserved(text) { // also where it is no pattern, such as "$>"
		return p, dialect.Errorf(dialect.PermissionDenied, "pattern: what begins with $ is the server's own")
	}
	p, err := rule.ParsePattern(text)
	switch {
	case err != nil:
		return p, dialect.Errorf(dialect.InvalidChannel, "pattern: %v", err)
	case p.HasUser():
		return p, dialect.Errorf(dialect.InvalidChannel, "pattern: {user} stands for nobody here")
	}
	return p, nil
}

func appendStrings(dst []byte, all []string) []byte {
	dst = append(dst, '[')
	for i, s := range all {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = jsonval.AppendString(dst, s)
	}
	return append(dst, ']')
}
