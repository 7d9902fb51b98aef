package websocket

import (
	"errors"
	"io"
	"time"

	"hocket.dev/dialect"
	"hocket.dev/internal/loop"
	"hocket.dev/internal/session"
	"hocket.dev/wire"
)

const (
	// closeTicks is how many seconds a peer has to answer a close frame, pinTicks how many it has to take the rest of a
	// large frame.
	closeTicks = 3
	pinTicks   = 10
	// flushWrites is how many writes of at most 64 KiB one socket gets before others have their turn.
	flushWrites = 4
	// maxLate times lateUnit bytes are read of a peer that goes on sending instead of closing: 512 KiB.
	maxLate  = 8 << 10
	lateUnit = 64
	// piecesPerMessage is how many pieces of a message are counted as another one: reading one costs about a hundredth of what
	// a message costs, and nothing else bounds those without content.
	piecesPerMessage = 64
)

// conn is one WebSocket. It belongs to its loop.
type conn struct {
	loop.Conn
	t       *Transport
	session *session.Session
	dec     wire.Decoder
	msg     *partial // nil between messages that come in pieces
	held    *[]byte  // came while the session did not want to be given any, nil for none
	reason  *string  // of the close, nil while there is none
	pingAt  uint32   // when the next ping, or the answer to the last one, is due; Unix seconds
	pinAt   uint32   // when an unfinished frame has to have been taken, while pinned
	code    uint16   // of the close, 0 while there is none
	late    uint16   // what has come since the closing began, in units of lateUnit bytes
	state   state
	awaited bool // a ping has not been answered
	pinned  bool // the alarm watches over an unfinished frame
	moved   bool // the socket has taken something since the last alarm
}

type state uint8

const (
	talking state = iota
	closing       // a close frame is due behind what is in the outbox
	ending        // it is in the outbox
	ended         // everything has been sent: the peer ends the connection
)

// Read implements loop.Handler.
func (c *conn) Read(b []byte) {
	c.heard()
	if c.state == talking || c.closesInTime(len(b)) {
		c.take(b)
	}
}

// closesInTime counts what comes after the closing has begun. A peer that goes on sending instead of closing is not read any
// more; the alarm ends the connection.
func (c *conn) closesInTime(bytes int) bool {
	c.late = uint16(min(int(c.late)+(bytes+lateUnit-1)/lateUnit, maxLate))
	if c.late == maxLate {
		c.Conn.Pause()
	}
	return c.late < maxLate
}

// take decodes what has come.
func (c *conn) take(b []byte) {
	if c.held != nil {
		b = append(*c.held, b...)
		c.held = nil
	}
	c.session.Tick()
	for len(b) > 0 {
		if c.state == talking && c.session.Paused() {
			c.hold(b)
			return
		}
		ev, n, err := c.dec.Next(b)
		b = b[n:]
		if err != nil {
			c.broken(err)
			return
		}
		switch ev.Kind {
		case wire.KindData:
			c.data(ev)
		case wire.KindPing:
			c.pong(ev.Payload)
		case wire.KindPong: // also one that nobody has asked for
			c.session.Ration(len(ev.Payload))
		case wire.KindClose:
			c.peerCloses(ev)
			return
		}
	}
}

// hold keeps the rest of what has been read at once until the session wants more: what its answers would need is more
// than an outbox may hold.
func (c *conn) hold(b []byte) {
	rest := append([]byte(nil), b...)
	c.held = &rest
}

// goOn reads what was held, and then from the socket again.
func (c *conn) goOn() {
	if c.held != nil && !c.session.Paused() {
		c.take(nil)
		if !c.session.Paused() {
			c.resume()
		}
	}
}

// heard notes that the peer is there.
func (c *conn) heard() {
	if c.awaited && c.state == talking {
		c.awaited = false
		c.wait(c.t.cfg.PingEvery)
	}
}

// partial is a message that has not come whole.
type partial struct {
	pieces wire.Assembler
	size   int64
	count  int // of pieces
}

// data gathers a message and gives it to the session. One over the limit is thrown away as it comes.
func (c *conn) data(ev wire.Event) {
	if c.state != talking {
		return
	}
	msg, size := ev.Payload, int64(len(ev.Payload))
	limit := c.session.MessageBytes()
	most := limit
	if ev.Compressed {
		most = packedLimit(limit)
	}
	if !ev.First || !ev.Last {
		if msg, size = c.gather(ev, most); !ev.Last {
			return
		}
		c.msg = nil
	}
	if ev.Compressed && size <= most {
		var err error
		if msg, size, err = c.inflate(ev.Op, msg, limit); err != nil {
			c.broken(err)
			return
		}
	}
	switch {
	case size > limit:
		c.session.TooLarge(size)
	case ev.Op != wire.Text:
		c.session.Reject(dialect.Errorf(dialect.InvalidMessage, "this protocol travels in text messages, not binary ones"))
	default:
		c.session.Receive(msg)
	}
}

// gather joins the pieces of a message, as long as they are within the limit, and counts their bytes.
func (c *conn) gather(ev wire.Event, limit int64) (msg []byte, size int64) {
	if c.msg == nil {
		c.msg = new(partial)
	}
	m := c.msg
	if m.count++; m.count%piecesPerMessage == 0 {
		c.session.Ration(0) // whether there is room or not, the message is read on: at its end it is known what it is
	}
	if m.size += int64(len(ev.Payload)); m.size > limit {
		m.pieces = wire.Assembler{}
		return nil, m.size
	}
	msg, _ = m.pieces.Add(ev)
	return msg, m.size
}

// inflate undoes the compression of a message.
func (c *conn) inflate(op wire.Opcode, packed []byte, limit int64) (msg []byte, size int64, err error) {
	msg, size, err = c.t.inflations[c.Loop().Index()].inflate(op, packed, limit)
	if err == nil {
		c.t.Inflated.add(int(size), len(packed))
	}
	return msg, size, err
}

// pong answers a ping, which counts as a message. The answers do not outgrow the outbox: while it is full the peer is not read.
func (c *conn) pong(payload []byte) {
	if c.state == talking && c.session.Ration(len(payload)) {
		var frame [2 + 125]byte
		c.session.Raw(wire.AppendFrame(frame[:0], wire.Pong, payload))
	}
}

// broken closes because the peer has broken the protocol.
func (c *conn) broken(err error) {
	code, reason := wire.CloseInternal, err.Error()
	var rule *wire.Error
	if errors.As(err, &rule) {
		code, reason = rule.Code, rule.Rule
	}
	c.end(uint16(code), reason)
}

// peerCloses answers a close frame with its own code (§5.5.1), unless ours was first.
func (c *conn) peerCloses(ev wire.Event) {
	switch c.state {
	case talking:
		c.session.Goodbye(int(ev.Code))
		c.end(uint16(ev.Code), string(ev.Payload))
		return
	case closing:
		c.Flush() // ours is due, and has its place before the end
	}
	c.Conn.Close(nil)
}

// end closes from the transport's side.
func (c *conn) end(code uint16, reason string) {
	if c.state == talking {
		c.session.Stop()
		c.begin(code, reason)
	}
}

// begin begins to close. The session may be in the middle of something, or not be there yet: the close frame waits for
// Flush.
func (c *conn) begin(code uint16, reason string) {
	if c.state != talking {
		return
	}
	c.state, c.code, c.reason = closing, code, &reason
	c.SetAlarm(closeTicks)
	c.Conn.Resume()
	c.Conn.Wake()
}

// farewell puts the close frame behind what is in the outbox; nothing follows it.
func (c *conn) farewell() {
	if c.state == closing {
		c.state = ending
		var frame [2 + 125]byte
		c.session.Raw(wire.AppendClose(frame[:0], wire.CloseCode(c.code), *c.reason))
	}
}

// Wake implements session.Line.
func (c *conn) Wake() { c.Conn.Wake() }

// Send implements session.Line.
func (c *conn) Send(b []byte) (n int, ok bool) {
	if c.state != talking {
		return 0, false
	}
	n, err := c.Conn.Write(b)
	c.moved = c.moved || n > 0
	return n, n > 0 || err != nil // a socket that is full says when it takes bytes again
}

// Watch implements session.Line.
func (c *conn) Watch() { c.full() }

// SetReading implements session.Line.
func (c *conn) SetReading(on bool) {
	switch {
	case !on && c.state == talking:
		c.Conn.Pause()
	case c.held != nil:
		c.Conn.Wake() // what is held comes before what the socket has
	default:
		c.resume()
	}
}

// resume reads from the socket again. The answer to a ping may lie there unread, so there is the whole time again for
// it.
func (c *conn) resume() {
	if c.awaited && c.state == talking {
		c.wait(c.t.cfg.PongTimeout)
	}
	c.Conn.Resume()
}

// Close implements session.Line.
func (c *conn) Close(code dialect.Code, reason string) {
	if reason == "" {
		reason = code.Info().Name
	}
	c.begin(uint16(code), reason)
}

// Drop implements session.Line.
func (c *conn) Drop(code dialect.Code) {
	reason := code.Info().Name
	c.state, c.code, c.reason = ended, uint16(code), &reason
	c.Conn.Close(errUntaken)
}

// Flush implements loop.Handler: it sends what is due until the socket is full.
func (c *conn) Flush() {
	c.goOn()
	c.farewell()
	for range flushWrites {
		b := c.session.Pull()
		if len(b) == 0 {
			c.drained()
			return
		}
		n, err := c.Conn.Write(b)
		c.session.Sent(n)
		c.moved = c.moved || n > 0
		if err != nil {
			return
		}
		if n < len(b) {
			c.full()
			return
		}
	}
	c.Conn.Wake()
}

// drained goes on with the closing once the close frame has been sent.
func (c *conn) drained() {
	if c.state == ending && c.session.Waiting() == 0 {
		c.state = ended
		c.CloseWrite() // and read on until the peer has ended too, so that TCP does not reset what it has not read yet
	}
}

// full has the socket watched when it holds on to a chunk.
func (c *conn) full() {
	if c.state == talking && !c.pinned && c.session.Pinned() {
		c.pinned, c.pinAt = true, now()+pinTicks
		c.arm()
	}
}

// wait has the heartbeat go on when d has passed.
func (c *conn) wait(d time.Duration) {
	c.pingAt = now() + uint32(ticks(d))
	c.arm()
}

// arm sets the alarm for what comes first.
func (c *conn) arm() {
	at := c.pingAt
	if c.pinned {
		at = min(at, c.pinAt)
	}
	c.SetAlarm(uint8(max(int64(at)-int64(now()), 1)))
}

func now() uint32 { return uint32(time.Now().Unix()) }

// Alarm implements loop.Handler.
func (c *conn) Alarm() {
	if c.state != talking {
		c.Conn.Close(errClosing)
		return
	}
	if c.pinned && now() >= c.pinAt {
		if c.session.Stuck() {
			c.vanish(dialect.CloseSlowConsumer)
			return
		}
		c.pinned = false
	}
	if now() >= c.pingAt {
		c.beat()
		return
	}
	c.arm()
}

// beat asks whether the peer is there, or finds that it is not. One that is not read cannot answer a ping: it is judged
// by what it takes, where it is not read for that.
func (c *conn) beat() {
	switch paused := c.session.Paused(); {
	case c.session.Full() && !c.moved, !paused && c.awaited:
		c.vanish(dialect.ClosePingTimeout)
	case paused:
		if !c.session.Full() { // so that the system finds out when the peer has gone
			c.session.Raw(pingFrame)
		}
		c.awaited = false
		c.wait(c.t.cfg.PongTimeout)
	default:
		c.ping()
	}
	c.moved = false
}

// ping asks whether the peer is there.
func (c *conn) ping() {
	c.awaited = true
	c.session.Raw(pingFrame)
	c.session.Heartbeat()
	c.wait(c.t.cfg.PongTimeout)
}

var pingFrame = wire.AppendFrame(nil, wire.Ping, nil)

// vanish closes a peer that does not answer: it is told why as far as the socket takes it, and not waited for.
func (c *conn) vanish(code dialect.Code) {
	c.end(uint16(code), code.Info().Name)
	c.Flush()
	c.Conn.Close(errVanished)
}

var (
	errClosing  = errors.New("the peer did not answer the close frame in time")
	errVanished = errors.New("the peer did not answer in time")
	errUntaken  = errors.New("the peer did not take what it was sent")
)

// Closed implements loop.Handler.
func (c *conn) Closed(err error) {
	code, reason := int(c.code), "connection lost"
	switch {
	case c.reason != nil:
		reason = *c.reason
	case err != nil && err != io.EOF:
		reason = err.Error()
	}
	if code == 0 {
		code = int(wire.CloseAbnormal)
	}
	c.t.countClose(code)
	if c.session != nil {
		c.session.Closed(code, reason)
	}
}
