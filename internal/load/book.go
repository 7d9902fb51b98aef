package load

import (
	"bytes"
	"time"
)

// book knows every publish of a run and which subscriber still misses it. It does
// no I/O and reads no clock: times are nanoseconds since the start of the run.
type book struct {
	size     int // of a payload in bytes
	channels []*channel

	// measured is set when the warm-up has ended, at since: what was published
	// before counts for the check, not for the figures.
	measured  bool
	since     int64
	last      int64 // when the last copy was received
	latency   Histogram
	delivered uint64 // copies received, warm-up included
	published uint64
	open      int // publishes that a subscriber or the reply is still due for
	faults    Faults

	scratch []byte   // the payload a message is compared with
	spare   [][]byte // buffers of finished publishes
}

// channel is one channel's publishes: those not yet everywhere, from base on.
type channel struct {
	name  string
	index int
	subs  int32
	base  uint64 // sequence of pubs[0]
	pubs  []publish
}

// publish is one message on its way.
type publish struct {
	sent   int64
	left   int32  // subscribers it has not reached, and one for the reply
	offset uint64 // by the first subscriber
	acked  bool
	msg    []byte // as the first subscriber got it; nil until then
}

// cursor is where one subscriber stands in its channel.
type cursor struct {
	channel *channel
	next    uint64              // the sequence due
	offset  uint64              // of the newest message received
	holes   map[uint64]struct{} // passed over, may still come late; nil for none
}

// end returns the sequence of the next publish.
func (c *channel) end() uint64 { return c.base + uint64(len(c.pubs)) }

// at returns the publish with this sequence, nil when it is finished.
func (c *channel) at(seq uint64) *publish {
	if seq < c.base || seq >= c.end() {
		return nil
	}
	return &c.pubs[seq-c.base]
}

// publish opens the next publish of c and appends its payload to dst.
func (b *book) publish(c *channel, dst []byte, now int64) []byte {
	p := publish{sent: now, left: c.subs + 1}
	dst = payload{c.index, c.end(), now}.append(dst, b.size)
	c.pubs = append(c.pubs, p)
	b.published++
	b.open++
	b.sweep(c) // without subscribers it is finished already
	return dst
}

// acknowledge takes the reply to the publish with this sequence.
func (b *book) acknowledge(c *channel, seq uint64) {
	p := c.at(seq)
	if p == nil || p.acked {
		b.faults.Errors++
		b.faults.note("%s: a second reply, or one to no publish, for message %d", c.name, seq)
		return
	}
	p.acked = true
	p.left--
	b.sweep(c)
}

// sweep drops what is finished at the front.
func (b *book) sweep(c *channel) {
	for len(c.pubs) > 0 && c.pubs[0].left <= 0 {
		if msg := c.pubs[0].msg; msg != nil {
			b.spare = append(b.spare, msg[:0])
		}
		c.pubs[0] = publish{}
		c.pubs = c.pubs[1:]
		c.base++
		b.open--
	}
}

// receive takes msg for the subscriber at s if it is the ordinary one: the message
// that is due, in the very bytes that another subscriber was checked with. Any other
// is for inspect.
func (b *book) receive(s *cursor, msg []byte, now int64) bool {
	p := s.channel.at(s.next)
	if p == nil || p.msg == nil || !bytes.Equal(p.msg, msg) {
		return false
	}
	b.deliver(s, p, now)
	return true
}

// deliver counts the message that is due.
func (b *book) deliver(s *cursor, p *publish, now int64) {
	s.next++
	s.offset = max(s.offset, p.offset)
	b.delivered++
	b.last = now
	if b.measured && p.sent >= b.since {
		b.latency.Add(time.Duration(now - p.sent))
	}
	if p.left--; p.left == 0 {
		b.sweep(s.channel)
	}
}

// inspect takes a push apart and says what it is.
func (b *book) inspect(s *cursor, msg []byte, now int64) {
	c := s.channel
	in, ok := scanPush(msg)
	if !ok {
		n, err := parseNotice(msg)
		if err != nil || n.Type != "message" {
			b.corrupt(s, "is no message: %.200q", msg)
			return
		}
		in = push{[]byte(n.Channel), n.Offset, n.Payload}
	}
	name, ok := parsePayload(in.payload)
	if !ok || string(in.channel) != c.name || name.channel != c.index || name.seq >= c.end() {
		b.corrupt(s, "holds what was not published there: %.200q", msg)
		return
	}
	if !b.place(s, name.seq) {
		return
	}
	p := c.at(name.seq)
	b.scratch = payload{c.index, name.seq, p.sent}.append(b.scratch[:0], b.size)
	if !bytes.Equal(in.payload, b.scratch) {
		b.corrupt(s, "holds %.200q instead of %.200q", in.payload, b.scratch)
		return
	}
	if b.goodOffset(s, p, in.offset) && p.msg == nil {
		p.offset, p.msg = in.offset, append(b.buffer(), msg...)
	}
	b.deliver(s, p, now)
}

// place reports that seq is the next for s, after what it passed over has been
// counted as missing. A message that comes too late is counted and is not next.
func (b *book) place(s *cursor, seq uint64) bool {
	name := s.channel.name
	if seq < s.next {
		if _, late := s.holes[seq]; !late {
			b.faults.Duplicate++
			b.faults.note("%s: message %d came twice", name, seq)
			return false
		}
		delete(s.holes, seq)
		b.faults.Missing--
		b.faults.Reordered++
		b.faults.note("%s: message %d came after %d", name, seq, s.next-1)
		return false
	}
	if seq > s.next {
		b.faults.note("%s: messages %d to %d did not come before %d", name, s.next, seq-1, seq)
	}
	for s.next < seq {
		if s.holes == nil {
			s.holes = make(map[uint64]struct{})
		}
		s.holes[s.next] = struct{}{}
		b.faults.Missing++
		b.pass(s)
	}
	return true
}

// corrupt counts a message with wrong bytes. It takes the place of the one that
// is due, so that one broken message is one fault.
func (b *book) corrupt(s *cursor, format string, args ...any) {
	b.faults.Corrupt++
	b.faults.note("%s: message %d "+format, append([]any{s.channel.name, s.next}, args...)...)
	if s.next < s.channel.end() {
		b.pass(s)
	}
}

// pass writes off the message that is due at s, so that nothing waits for it.
func (b *book) pass(s *cursor) {
	p := s.channel.at(s.next)
	s.next++
	if p.left--; p.left == 0 {
		b.sweep(s.channel)
	}
}

// goodOffset holds the offset of the message that is due against the one before, as
// offsets grow, and against what it was for other subscribers.
func (b *book) goodOffset(s *cursor, p *publish, offset uint64) bool {
	switch {
	case offset <= s.offset:
		b.faults.note("%s: message %d has offset %d after %d", s.channel.name, s.next, offset, s.offset)
	case p.msg != nil && p.offset != offset:
		b.faults.note("%s: message %d has offset %d here and %d elsewhere", s.channel.name, s.next, offset, p.offset)
	default:
		return true
	}
	b.faults.Errors++
	return false
}

// buffer returns an empty buffer for a message.
func (b *book) buffer() []byte {
	if n := len(b.spare); n > 0 {
		buf := b.spare[n-1]
		b.spare = b.spare[:n-1]
		return buf
	}
	return make([]byte, 0, b.size+256)
}

// settle counts what s is still due when the run is over.
func (b *book) settle(s *cursor) {
	if end := s.channel.end(); s.next < end {
		b.faults.Missing += end - s.next
		b.faults.note("%s: messages %d to %d never came", s.channel.name, s.next, end-1)
	}
}

// settleReplies counts the publishes that were never answered.
func (b *book) settleReplies(c *channel) {
	for i := range c.pubs {
		if !c.pubs[i].acked {
			b.faults.Unanswered++
		}
	}
}
