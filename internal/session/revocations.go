package session

import (
	"encoding/binary"
	"errors"
	"time"

	"hocket.dev/broker"
	"hocket.dev/internal/hub"
)

// followAgain is how long the log of revocations is left alone when it cannot be followed.
const followAgain = time.Second

// revocations is the node's own subscription to the log of revocations. It belongs to the first loop.
type revocations struct {
	hub.Cursor
	node    *Node
	start   hub.StartKind
	scratch hub.Scratch
}

// follow begins with everything that is in force.
func (r *revocations) follow() {
	r.node.cfg.Hub.Subscribe(hub.Request{
		Channel: revocationsLog, Owner: r, Encoding: revocationEncoding{},
		Start: hub.Start{Kind: r.start}, History: revocationsKeep,
	}, &r.Cursor, func(_ hub.Placed, err error) {
		if errors.Is(err, hub.ErrNoState) {
			r.start = hub.Live
		}
		if err != nil {
			r.again()
		}
	})
}

func (r *revocations) again() {
	r.node.shards[0].loop.After(followAgain, r.follow)
}

// sweep forgets what is over, as long as the loop runs.
func (r *revocations) sweep() {
	r.node.revoked.sweep(r.node.cfg.Now().UnixMilli())
	r.node.shards[0].loop.After(revokedSweep, r.sweep)
}

// Due implements hub.Owner.
func (r *revocations) Due(*hub.Cursor) { r.node.shards[0].loop.Post(r.read) }

// read takes what has come.
func (r *revocations) read() {
	for {
		slice := r.Take(&r.scratch, gatherBytes)
		switch {
		case slice.GapTo != 0: // what was missed stands in the state
			r.Cursor.Close()
			r.follow()
			return
		case len(slice.Bytes) == 0:
			return
		}
		for b := slice.Bytes; len(b) > 0; {
			var key, payload []byte
			key, b = cutField(b)
			payload, b = cutField(b)
			r.node.takeBack(string(key), payload)
		}
		r.Sent(&slice, len(slice.Bytes))
	}
}

// Send implements hub.Owner.
func (r *revocations) Send(*hub.Cursor, *hub.Slice) bool { return false }

// Overflow implements hub.Owner; the rule is none that calls it.
func (r *revocations) Overflow(*hub.Cursor) {}

// Ended implements hub.Owner.
func (r *revocations) Ended(_ *hub.Cursor, err error) {
	if err != hub.ErrClosed {
		r.again()
	}
}

// Name implements hub.Owner.
func (r *revocations) Name() string { return "" }

// revocationEncoding tells what revokes: key and payload, each behind its length. It says nothing of ends, which the
// payload has told before.
type revocationEncoding struct{}

// AppendEntry implements hub.Encoding.
func (revocationEncoding) AppendEntry(dst []byte, _, _ string, e *broker.Entry) []byte {
	if e.Op != broker.Set {
		return dst
	}
	return appendField(appendField(dst, []byte(e.Key)), e.Payload)
}

func appendField(dst, b []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

func cutField(b []byte) (field, rest []byte) {
	n, size := binary.Uvarint(b)
	return b[size : size+int(n)], b[size+int(n):]
}
