package api

import (
	"context"
	"strconv"

	"hocket.dev/broker"
	"hocket.dev/dialect"
	"hocket.dev/dialect/native"
)

// maxKey is how many bytes a key may have.
const maxKey = 512

// remove takes entries out of a log: the one at an offset, those of a key, or all.
func (h *Handler) remove(ctx context.Context, dst, body []byte) ([]byte, *dialect.Error) {
	f, err := scan(body, "channel", "offset", "key", "history")
	if err != nil {
		return nil, err
	}
	channel, err := f.channel()
	if err != nil {
		return nil, err
	}
	if err := permit(ctx, "remove", channel); err != nil {
		return nil, err
	}
	var r broker.Removal
	if r.Offset, err = f.whole(dialect.InvalidPosition, "offset", 1, broker.MaxOffset); err != nil {
		return nil, err
	}
	if r.Key, err = f.text(dialect.InvalidKey, "key", maxKey); err != nil {
		return nil, err
	}
	if err := native.CheckRemoval(&r); err != nil {
		return nil, err
	}
	all, err := f.truth("history")
	if err != nil {
		return nil, err
	}
	if all {
		r.UpTo = broker.MaxOffset
	}
	count, err := h.cfg.Node.Remove(ctx, channel, r)
	if err != nil {
		return nil, err
	}
	return append(strconv.AppendInt(append(dst, `{"removed":`...), int64(count), 10), '}'), nil
}
