package differential

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"slices"
	"unicode/utf8"

	"hocket.dev/wire"
)

// A trial is what two servers made of the same bytes.
type trial struct {
	in           []byte
	m            mode
	ours, theirs *verdict
}

// A difference is a known way in which another server does not do what the RFC asks for, or does what it leaves open.
type difference struct {
	name string
	why  string  // who is right, and the section that says so
	peer *peer   // nil for both
	rule string  // that ours found broken, "" for none, anyRule for whichever
	end  endings // how theirs may end
	// early says that theirs may have less than ours.
	early bool
	// known recognizes the case, nil where the fields above do. Both agree on everything before it.
	known func(c *trial) bool
}

// endings says how a server ends that differs.
type endings int

const (
	drops  endings = iota // without a close frame, and having read nothing more
	says                  // with another close code, and having read nothing more
	goesOn                // in any way but a panic: it has not noticed, and reads what follows
	fails                 // by a panic
)

// What ours calls the rules that others do not hold.
const (
	anyRule         = "*"
	ruleLength      = "top bit of the 64-bit length set (§5.2)"
	ruleLongForm    = "length in more bytes than it needs (§5.2)"
	ruleControlSize = "control frame over 125 bytes (§5.5)"
	ruleCloseSize   = "close payload of one byte (§5.5.1)"
	ruleReason      = "close reason is not UTF-8 (§5.5.1)"
	ruleText        = "text is not UTF-8 (§8.1)"
	ruleSize        = "message over the size limit (§10.4)"
	ruleInflated    = "message over the size limit once inflated (RFC 7692 §8)"
	ruleDeflate     = "compressed data is broken (RFC 7692 §7.2.2)"
	ruleControl     = "RSV1 on a control frame (RFC 7692 §6.1)"
	ruleContinuing  = "RSV1 on a continuation (RFC 7692 §6.1)"
)

var differences = []difference{
	{
		name: "text is not checked", rule: ruleText, end: goesOn,
		why:   "§8.1: text that is no UTF-8 fails the connection. The others leave that to the program",
		known: func(c *trial) bool { return c.extra() == nil || c.extra().text && !utf8.ValidString(c.extra().data) },
	},
	{
		name: "a close frame of one byte is taken", peer: gorilla, rule: ruleCloseSize, end: says,
		why:   "§5.5.1: a body begins with two bytes of code",
		known: func(c *trial) bool { return c.theirs.code == wire.CloseNoStatus },
	},
	{
		name: "another code for a broken close reason", peer: gorilla, rule: ruleReason, end: says,
		why:   "§7.4.1: 1007 is for data that does not fit the type of the message, 1002 is not wrong",
		known: func(c *trial) bool { return c.theirs.code == wire.CloseProtocolError },
	},
	{
		name: "a broken close reason is taken", peer: coder, rule: ruleReason, end: says,
		why:   "§5.5.1 and §8.1: the reason is UTF-8",
		known: func(c *trial) bool { return c.theirs.code.Valid() },
	},
	{
		name: "1014 is not known", peer: gorilla, end: says,
		why: "§7.4.2: registered with IANA, as 1012 and 1013 are",
		known: func(c *trial) bool {
			return c.ours.code == 1014 && c.theirs.code == wire.CloseProtocolError
		},
	},
	{
		name: "no close frame for a frame without mask", peer: coder, rule: anyRule, end: drops,
		why: "§5.1: the server closes, and may say 1002. The frame may break other rules, too",
		known: func(c *trial) bool {
			h, found := c.brokenFrame()
			return (found == whole || found == longForm) && !h.Masked
		},
	},
	{
		name: "no close frame for an impossible length", peer: gorilla, rule: ruleLength, end: drops,
		why: "§7.1.7: an endpoint that fails the connection should say so",
	},
	{
		name: "no close frame for an impossible length", peer: coder, rule: anyRule, end: drops,
		why: "§7.1.7: an endpoint that fails the connection should say so. The frame may break other rules, too",
		known: func(c *trial) bool {
			_, found := c.brokenFrame()
			return found == impossible
		},
	},
	{
		name: "no close frame for broken compression", rule: ruleDeflate, end: drops,
		why: "§7.1.7: an endpoint that fails the connection should say so",
	},
	{
		name: "broken compression is found before the rest of the message, and dropped", rule: anyRule, end: drops, early: true,
		why: "RFC 7692 leaves open when a message is inflated: here, what breaks a rule comes behind it",
		known: func(c *trial) bool {
			_, err := c.inflate()
			return errors.As(err, new(flate.CorruptInputError))
		},
	},
	{
		name: "a bomb is found before the rest of the message", peer: coder, rule: anyRule, end: says, early: true,
		why: "RFC 7692 leaves open when a message is inflated: here, what breaks a rule comes behind it",
		known: func(c *trial) bool {
			size, _ := c.inflate()
			return c.theirs.code == wire.CloseTooBig && size > maxMessage
		},
	},
	{
		name: "cut compression is taken for whole", peer: coder, rule: ruleDeflate, end: goesOn,
		why: "RFC 7692 §7.2.2: what a message inflates to is not known before its last block has ended",
		known: func(c *trial) bool {
			_, err := c.inflate()
			return c.extra() != nil && err == io.ErrUnexpectedEOF
		},
	},
	{
		name: "a last block that ends within the appended bytes is taken", rule: ruleDeflate, end: goesOn,
		why: "RFC 7692 §7.2.1: what a sender leaves away is the rest of an empty block, never of another",
		known: func(c *trial) bool {
			_, err := c.inflate()
			_, more := c.inflateAs(c.agreed(), endOfMessage+"\x01\x00\x00\xff\xff") // gorilla's way to make the inflater stop
			_, without := c.inflateAs(c.agreed(), "")
			return c.extra() != nil && (err == nil || more == nil) && without == io.ErrUnexpectedEOF
		},
	},
	{
		name: "what follows a last block is left unread", rule: anyRule, end: goesOn, early: true,
		why:   "RFC 7692 §7.2.3.4: a block may say that it is the last and be followed by others",
		known: func(c *trial) bool { return c.hasLastBlock() },
	},
	{
		name: "a length in more bytes than it needs is taken", rule: ruleLongForm, end: goesOn,
		why: "§5.2: the minimal number of bytes must be used to encode the length",
	},
	{
		name: "the same of a control frame", peer: coder, rule: ruleControlSize, end: goesOn,
		why: "§5.5 and §5.2: at most 125 bytes, whose length is written in seven bits",
		known: func(c *trial) bool {
			_, found := c.brokenFrame()
			return found == longForm
		},
	},
	{
		name: "a close frame amid a message whose context is kept is a panic", peer: coder, rule: anyRule, end: fails, early: true,
		why: "§5.4: control frames may stand amid a message",
		known: func(c *trial) bool {
			amid, _ := c.compressed(len(c.ours.messages), "") // a panic takes along what was read before
			return c.m.takeover && c.ours.end == closes && amid != nil
		},
	},
	{
		name: "the limit is of the compressed size, though that be larger", peer: gorilla, rule: anyRule, end: says, early: true,
		why: "§10.4 leaves limits to the implementation",
		known: func(c *trial) bool {
			payload, _ := c.compressed(c.agreed(), "")
			return c.theirs.code == wire.CloseTooBig && len(payload) > maxMessage
		},
	},
	{
		name: "there is no limit of the compressed size", peer: coder, rule: ruleSize, end: goesOn,
		why: "§10.4 leaves limits to the implementation: ours ends what cannot become a message within the limit",
		known: func(c *trial) bool {
			payload, _ := c.compressed(c.agreed(), "")
			return len(payload) > maxMessage
		},
	},
	{
		name: "a cut frame is inflated without having been unmasked", peer: coder, rule: anyRule, end: goesOn, early: true,
		why: "§5.3: what is inflated is nobody's data, and that the connection broke is noticed a little later",
		known: func(c *trial) bool {
			payload, _ := c.compressed(c.agreed(), "")
			return payload != nil && c.endsAmidFrame()
		},
	},
	{
		name: "one byte over the limit is taken", peer: coder, rule: ruleInflated, end: goesOn,
		why:   "§10.4 leaves limits to the implementation: it stops at the byte behind",
		known: func(c *trial) bool { return c.extra() != nil && len(c.extra().data) == maxMessage+1 },
	},
	{
		name: "RSV1 on a control frame is taken", peer: gorilla, rule: ruleControl, end: goesOn,
		why: "RFC 7692 §6.1: it is set on the first frame of a message only",
	},
	{
		name: "RSV1 on a continuation is taken", peer: gorilla, rule: ruleContinuing, end: goesOn,
		why: "RFC 7692 §6.1: it is set on the first frame of a message only",
	},
	{
		name: "the limit is of the compressed size", peer: gorilla, rule: ruleInflated, end: goesOn,
		why:   "RFC 7692 §8: a bomb is small before it is inflated",
		known: func(c *trial) bool { return c.extra() == nil || len(c.extra().data) > maxMessage },
	},
}

// explain returns the known difference that a trial shows, nil when there is none on the list.
func explain(p *peer, c *trial) *difference {
	for i := range differences {
		d := &differences[i]
		if d.peer != nil && d.peer != p || !d.holds(c.ours.rule) || !d.early && !c.ours.isPrefixOf(c.theirs) {
			continue
		}
		more := len(c.theirs.messages) > len(c.ours.messages) || len(c.theirs.pongs) > len(c.ours.pongs)
		switch d.end {
		case drops:
			if more || c.theirs.end != silent {
				continue
			}
		case fails:
			if c.theirs.end != panics {
				continue
			}
		case goesOn:
			if c.theirs.end == panics {
				continue
			}
		case says:
			if more || c.theirs.end != closes {
				continue
			}
		}
		if d.known == nil || d.known(c) {
			return d
		}
	}
	return nil
}

func (d *difference) holds(rule string) bool {
	return d.rule == rule || d.rule == anyRule
}

// What brokenFrame finds.
const (
	none       = iota // no frame, or one whose header is not whole
	impossible        // a length with its top bit set
	longForm          // a length in more bytes than it needs
	whole
)

// brokenFrame is the header of the frame at which our decoder stops; of longForm no more of it than whether it is masked.
func (c *trial) brokenFrame() (h wire.Header, found int) {
	d := wire.NewDecoder(wire.Server, &wire.Limits{MessageBytes: maxMessage})
	if c.m.offer != "" {
		d.AllowDeflate()
	}
	for b := bytes.Clone(c.in); ; {
		h, n, err := wire.ParseHeader(b)
		switch {
		case isRule(err, ruleLongForm):
			return wire.Header{Masked: b[1]&0x80 != 0}, longForm
		case err != nil:
			return h, impossible
		case n == 0:
			return h, none
		}
		end := int(min(int64(n)+h.Length, int64(len(b))))
		for frame := b[:end]; len(frame) > 0; {
			_, n, err := d.Next(frame)
			if err != nil {
				return h, whole
			}
			frame = frame[n:]
		}
		b = b[end:]
	}
}

// isRule reports whether err is that a rule was broken.
func isRule(err error, rule string) bool {
	var broken *wire.Error
	return errors.As(err, &broken) && broken.Rule == rule
}

// endsAmidFrame reports whether the last frame of the input is cut.
func (c *trial) endsAmidFrame() bool {
	for b := c.in; len(b) > 0; {
		h, n, err := wire.ParseHeader(b)
		if n == 0 || err != nil || h.Length > int64(len(b)-n) {
			return true
		}
		b = b[n+int(h.Length):]
	}
	return false
}

// extra is the first message that they have and ours has not, nil for none.
func (c *trial) extra() *message {
	if len(c.theirs.messages) == len(c.ours.messages) {
		return nil
	}
	return &c.theirs.messages[len(c.ours.messages)]
}

// endOfMessage is what a receiver puts behind a compressed message (RFC 7692 §7.2.2).
const endOfMessage = "\x00\x00\xff\xff"

// inflate is inflateAs of the first message on which both do not agree, as a receiver does it.
func (c *trial) inflate() (size int, err error) { return c.inflateAs(c.agreed(), endOfMessage) }

// inflateAs undoes, with the standard library alone, the compression of a message with the tail behind it, or of what is
// there of it. It returns its size and how it ended: nil at a last block, io.ErrUnexpectedEOF without one, io.EOF when
// it is not compressed.
func (c *trial) inflateAs(message int, tail string) (size int, err error) {
	payload, history := c.compressed(message, tail)
	if payload == nil {
		return 0, io.EOF
	}
	n, err := io.Copy(io.Discard, flate.NewReaderDict(bytes.NewReader(payload), history))
	return int(n), err
}

// compressed returns what there is of a message, with the tail behind it when it is whole, and what its compression may
// refer to; nil when it is not compressed.
func (c *trial) compressed(message int, tail string) (payload, history []byte) {
	d := wire.NewDecoder(wire.Server, nil)
	if c.m.offer == "" {
		return nil, nil
	}
	d.AllowDeflate()
	compressed, at := false, 0
	for b := bytes.Clone(c.in); len(b) > 0; {
		ev, n, err := d.Next(b)
		b = b[n:]
		if err != nil {
			break
		}
		if ev.Kind != wire.KindData {
			continue
		}
		payload, compressed = append(payload, ev.Payload...), ev.Compressed
		if !ev.Last {
			continue
		}
		if at == message {
			payload = append(payload, tail...)
			break
		}
		if compressed && c.m.takeover && at < len(c.ours.messages) {
			history = append(history, c.ours.messages[at].data...)
		}
		payload, compressed = nil, false
		at++
	}
	if !compressed || at < message {
		return nil, nil
	}
	return append([]byte{}, payload...), history
}

// agreed counts the messages that both have read alike.
func (c *trial) agreed() (n int) {
	ours, theirs := c.ours.messages, c.theirs.messages
	for n < min(len(ours), len(theirs)) && ours[n] == theirs[n] {
		n++
	}
	return n
}

// hasLastBlock reports whether up to the first message on which both do not agree, one has a block before its end that says
// to be the last.
func (c *trial) hasLastBlock() bool {
	for at := range c.agreed() + 1 {
		if _, err := c.inflateAs(at, ""); err == nil {
			return true
		}
	}
	return false
}

// same reports whether two servers did the same.
func same(a, b *verdict) bool {
	return a.end == b.end && a.code == b.code && slices.Equal(a.messages, b.messages) && slices.Equal(a.pongs, b.pongs)
}

// isPrefixOf reports whether everything that v has read and answered, b has too.
func (v *verdict) isPrefixOf(b *verdict) bool {
	return len(v.messages) <= len(b.messages) && slices.Equal(v.messages, b.messages[:len(v.messages)]) &&
		len(v.pongs) <= len(b.pongs) && slices.Equal(v.pongs, b.pongs[:len(v.pongs)])
}
