package session

// pause is a set of reasons why a session is not read.
type pause uint8

const (
	pauseFull  pause = 1 << iota // the client does not take its answers
	pauseProof                   // its proof is being decided about
)

// pause stops the delivery of messages for a reason.
func (s *Session) pause(why pause) {
	if s.paused == 0 {
		s.line.SetReading(false)
	}
	s.paused |= why
}

// resume ends a reason for a pause. It answers false where that was none.
func (s *Session) resume(why pause) bool {
	if s.paused&why == 0 {
		return false
	}
	if s.paused &^= why; s.paused == 0 {
		s.line.SetReading(true)
	}
	return true
}

// Paused says that the session does not want to be given messages now.
func (s *Session) Paused() bool { return s.paused != 0 }

// Full says that it does not because the client does not take what it is sent.
func (s *Session) Full() bool { return s.paused&pauseFull != 0 }
