package session

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"hocket.dev/dialect"
	"hocket.dev/internal/limit"
	"hocket.dev/internal/rule"
)

// Line is the transport's side of a session. Its methods are called on the loop, and do not call back into the session.
type Line interface {
	// Wake says that Pull has something to give.
	Wake()
	// Send sends b at once, as much as the client takes now: n of it. It answers false, having done nothing, when that
	// cannot be; Wake and Pull are the way then. It is called when the session has nothing else to send.
	Send(b []byte) (n int, ok bool)
	// Watch says that the session keeps the rest of what Send did not take.
	Watch()
	// SetReading stops or resumes the delivery of messages.
	SetReading(on bool)
	// Close ends the connection with a close code once what Pull has to give has been sent, or could not be sent in
	// time. An empty reason means the name of the code. Session.Closed follows, later.
	Close(code dialect.Code, reason string)
	// Drop ends the connection at once: the client takes nothing, so it is not told. Session.Closed follows, later.
	Drop(code dialect.Code)
}

// Framing puts a message into the transport's form. It has no state of a connection, is compared with ==, and may be
// called from any goroutine.
type Framing interface {
	// Begin appends room for what comes before a message.
	Begin(dst []byte) []byte
	// End completes the message whose Begin was at start.
	End(dst []byte, start int) []byte
}

// Handshake is what a transport knows of a client when it comes.
type Handshake struct {
	Line     Line
	Codec    dialect.Codec
	Framing  Framing
	Commands []dialect.Command // in the handshake itself
	Err      *dialect.Error    // of the handshake: it is told to the client, which is then closed
	Proof    *Proof            // the first one in the handshake, nil for none
	Address  string            // of the client
}

// identity is who a session is.
type identity struct {
	user   string
	client string
	info   []byte             // a JSON value, nil for none
	grant  *Grant             // what was proved, nil for nothing
	barred *rule.Capabilities // what was revoked of it, nil for nothing
	given  *rule.Capabilities // what it was given when the back end was asked, nil for nothing
}

var nobody = &identity{}

// requests are those that have not been answered.
type requests struct {
	count int          // with those that have no id
	ids   []dialect.ID // unique
	calls map[*calling]struct{}

	checks []func()                      // of payloads, the first one under way
	behind map[string][]*dialect.Command // what has come for the channels of those since

	reads   []func() // that wait for their turn
	reading bool     // a read of the broker is under way

	waits *waits // nil when none waits for others, or for the back end
}

// outgoing is what waits to be sent before anything of a channel.
type outgoing struct {
	rest  []byte // of a frame that was sent in part
	since int64  // Unix milliseconds, of a rest that keeps a chunk alive; else 0
	buf   []byte // replies and notices, in frames
	sent  int    // how much of buf

	// Of Shard.untaken, where it is listed.
	place   limit.Place[Session]
	counted int64
}

// sentOf moves on over n bytes of buf that have been sent. What has been sent is given up by and by: a client that never
// gets to the end of buf would else have it grow for ever.
func (o *outgoing) sentOf(n int) {
	if o.sent += n; o.sent >= spareBytes && o.sent >= len(o.buf)/2 {
		o.buf = o.buf[:copy(o.buf, o.buf[o.sent:])]
		o.sent = 0
	}
}

// waiting is how many bytes there are.
func (o *outgoing) waiting() int {
	if o == nil {
		return 0
	}
	return len(o.rest) + len(o.buf) - o.sent
}

// held is how many bytes of memory that takes: a rest that keeps a chunk alive is not the session's own.
func (o *outgoing) held() int {
	n := cap(o.buf)
	if o.since == 0 {
		n += len(o.rest)
	}
	return n
}

// Session is one client. All its methods are for its loop.
type Session struct {
	shard   *Shard
	line    Line
	codec   dialect.Codec
	framing Framing
	name    string
	address string
	who     *identity // replaced, never changed
	began   int64     // Unix milliseconds

	// What an idle session does not need is made when it is needed, and given up afterwards.
	subs    []*subscription
	estates map[string]*estate // by channel: ephemeral keys
	due     followers
	open    *requests // nil when every request has been answered
	out     *outgoing // nil when nothing waits to be sent

	share *share // of what users, addresses and sessions may take

	admitted  bool
	settled   bool // who it is has been said, or does not matter any more
	stable    bool // the name follows from the client id, and comes again with it
	heartbeat bool
	paused    pause
	closing   bool
	closed    bool
	place     int32  // in Shard.expiries, from 1; 0 when it is not there
	number    uint32 // of the node's sessions in the order they were opened, modulo 2³²
}

// Open begins a session. It may call the Line before it returns.
func (sh *Shard) Open(h Handshake) *Session {
	s := &Session{
		shard: sh, line: h.Line, codec: h.Codec, framing: h.Framing, address: h.Address,
		name: newName(), who: nobody, share: &share{}, began: sh.node.cfg.Now().UnixMilli(), number: sh.node.opened.Add(1),
	}
	sh.sessions[s.name] = s
	sh.Counters.Sessions.Add(1)
	if code, err := s.checkIn(); err != nil {
		s.expel(code, err)
		return s
	}
	switch {
	case h.Err != nil:
		s.refuse(dialect.NoID, h.Err)
	case h.Proof != nil:
		s.prove(h.Proof, func(g *Grant, err *dialect.Error) { s.proven(g, err, h.Commands) })
	case sh.node.cfg.Anonymous || sh.node.cfg.Rules.Anonymous():
		s.admit(h.Commands)
	default:
		s.awaitProof()
		s.run(h.Commands)
	}
	return s
}

func (s *Session) proofTimeout() {
	if !s.admitted && !s.closed {
		s.refuse(dialect.NoID, dialect.Errorf(dialect.Unauthenticated, "no proof of identity came in time"))
	}
}

// refuse tells err and closes for good.
func (s *Session) refuse(id dialect.ID, err *dialect.Error) {
	s.fail(id, "", err)
	s.close(closeFor(err), err.Name)
}

// closeFor is the close code of a client that is refused for err: it says what to do about it.
func closeFor(err *dialect.Error) dialect.Code {
	switch err.Code {
	case dialect.TokenExpired:
		return dialect.CloseTokenExpired
	case dialect.Revoked:
		return dialect.CloseRevoked
	case dialect.PermissionDenied:
		return dialect.CloseForbidden
	case dialect.Busy, dialect.Unavailable, dialect.Timeout, dialect.Internal:
		return dialect.CloseUnavailable
	}
	return dialect.CloseUnauthenticated
}

func (s *Session) close(code dialect.Code, reason string) {
	if s.closing {
		return
	}
	s.closing = true
	s.line.Close(code, reason)
}

// Drain asks the client to come back after some time, and closes.
func (s *Session) Drain(after time.Duration) {
	s.say(dialect.NoID, &dialect.Reconnect{AfterMS: after.Milliseconds()})
	s.close(dialect.CloseDraining, "")
}

// Name is the session's public name.
func (s *Session) Name() string { return s.name }

// Tick reads the clock for the limits of what is received next. A transport calls it for each read of a socket, before what
// it brought is given to Receive: a look at the clock for each message would be a good part of what all its limits cost.
func (s *Session) Tick() { s.shard.now = s.shard.node.elapsed() }

// Receive takes one message. msg may be reused after it returns.
func (s *Session) Receive(msg []byte) {
	if s.closing || s.closed {
		return
	}
	s.shard.Counters.MessagesIn.Add(1)
	s.shard.Counters.BytesIn.Add(uint64(len(msg)))
	commands := s.codec.Decode(s.shard.decoded[:0], msg)
	if e := s.incoming(1, int64(len(msg))); e.wait > 0 {
		s.rejectAll(commands, e)
	} else if s.patient(len(msg)) {
		s.run(commands)
	}
	clear(commands)
	s.shard.decoded = commands
}

// TooLarge says that a message of so many bytes, over the limit, has been thrown away. It has cost what the messages that would
// have had room in it cost, and counts as they do.
func (s *Session) TooLarge(bytes int64) {
	if most := s.MessageBytes(); s.rationed((bytes+most-1)/most, bytes) {
		s.fail(dialect.NoID, "", dialect.Errorf(dialect.TooLarge, "a message may have at most %d bytes", most))
	}
}

// Reject says what is wrong with a message that the transport could not give to Receive.
func (s *Session) Reject(err *dialect.Error) {
	if s.Ration(0) {
		s.fail(dialect.NoID, "", err)
	}
}

func (s *Session) run(commands []dialect.Command) {
	for i := range commands {
		if s.closing || s.closed {
			return
		}
		s.do(&commands[i])
	}
}

// do carries out one command.
func (s *Session) do(c *dialect.Command) {
	switch {
	case c.Err != nil:
		channel := ""
		if c.ID.Kind == dialect.IDNone { // nothing else tells which request it was
			channel = named(c)
		}
		s.fail(c.ID, channel, c.Err)
		return
	case c.Verb == dialect.Ping:
		s.say(c.ID, &dialect.PongReply{})
		return
	case c.Verb == dialect.Pong:
		return
	case c.Verb == dialect.Connect:
		s.connect(c)
		return
	case !s.admitted:
		s.fail(c.ID, named(c), dialect.Errorf(dialect.Unauthenticated, "send connect with a proof of identity first"))
		return
	}
	if s.open != nil {
		if c.ID.Kind != dialect.IDNone && slices.Contains(s.open.ids, c.ID) {
			s.fail(dialect.NoID, named(c), dialect.Errorf(dialect.IDInUse, "the id of this %s belongs to an open request", verb(c.Verb)))
			return
		}
		if s.open.count >= s.shard.node.cfg.Limits.OpenRequests {
			s.busy(c.ID, named(c))
			return
		}
	}
	if c.Verb == dialect.Call {
		s.call(c)
		return
	}
	if err := checkChannel(c.Channel); err != nil {
		s.fail(c.ID, named(c), err)
		return
	}
	s.doChannel(c)
}

// doChannel carries out a command on a channel, after those that came before it.
func (s *Session) doChannel(c *dialect.Command) {
	sub := s.find(c.Channel)
	if sub != nil && sub.asked != nil {
		if kept := s.keep(c); kept != nil {
			sub.asked.waiting = append(sub.asked.waiting, kept)
		}
		return
	}
	if s.waits(c) {
		return
	}
	switch c.Verb {
	case dialect.Subscribe:
		s.subscribe(c, sub)
	case dialect.Unsubscribe:
		s.unsubscribe(c, sub)
	case dialect.Publish:
		s.publish(c)
	case dialect.History:
		s.history(c)
	case dialect.State:
		s.state(c)
	case dialect.Presence:
		s.presence(c)
	}
}

// begin counts a request as open, end as answered.
func (s *Session) begin(id dialect.ID) {
	if s.open == nil {
		s.open = &requests{}
	}
	s.open.count++
	if id.Kind != dialect.IDNone {
		s.open.ids = append(s.open.ids, id)
	}
}

func (s *Session) end(id dialect.ID) {
	o := s.open
	o.count--
	if i := slices.Index(o.ids, id); i >= 0 && id.Kind != dialect.IDNone {
		o.ids = slices.Delete(o.ids, i, i+1)
	}
	if o.count == 0 {
		s.open = nil
	}
}

// Raw puts a frame of the transport's own, such as a pong, between the messages.
func (s *Session) Raw(frame []byte) {
	if s.closed {
		return
	}
	o := s.outbox()
	o.buf = append(o.buf, frame...)
	s.line.Wake()
	s.hold()
}

// Stop ends the session's own talking: what is in the outbox is still given by Pull, nothing is added but by Raw. The
// transport calls it when the client has begun to close.
func (s *Session) Stop() { s.closing = true }

// Waiting is how many bytes the outbox holds.
func (s *Session) Waiting() int { return s.out.waiting() }

// Heartbeat is called when the transport sends a ping of its own.
func (s *Session) Heartbeat() {
	s.rest()
	if s.heartbeat && !s.closing {
		s.say(dialect.NoID, &dialect.PingNotice{})
	}
}

// Goodbye says with which code the client has begun to close: when it means to go, it is no member any more. Closed follows,
// when the connection has ended.
func (s *Session) Goodbye(code int) {
	lost := s.comesBack(code)
	for _, sub := range s.subs {
		sub.depart(lost)
	}
	s.part(lost)
}

// Closed frees everything the session held. code and reason are those of the close, 1006 when there was none.
func (s *Session) Closed(code int, reason string) {
	if s.closed {
		return
	}
	s.closed, s.closing = true, true
	s.Goodbye(code)
	for _, sub := range s.subs {
		s.release(sub)
	}
	if s.open != nil {
		for call := range s.open.calls {
			call.end()
		}
		s.open.waits.end()
	}
	s.subs, s.open, s.due = nil, nil, followers{}
	if s.out != nil {
		s.shard.giveBack(s.out)
		s.out = nil
	}
	s.proofCame()
	s.expireAt(time.Time{})
	s.checkOut()
	s.unname()
	s.shard.Counters.Sessions.Add(-1)
	what := "disconnected"
	if !s.admitted {
		what = "refused"
	}
	s.log(slog.LevelInfo, what,
		slog.Duration("duration", time.Duration(s.shard.node.cfg.Now().UnixMilli()-s.began)*time.Millisecond),
		slog.Int("code", code), slog.String("reason", reason))
}

func (s *Session) log(level slog.Level, msg string, more ...slog.Attr) {
	attrs := append([]slog.Attr{
		slog.String("session", s.name), slog.String("user", s.who.user), slog.String("address", s.address),
	}, more...)
	s.shard.node.cfg.Log.LogAttrs(context.Background(), level, msg, attrs...)
}
