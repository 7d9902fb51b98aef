package api

import (
	"context"
	"encoding/json"
	"net/netip"
	"strconv"
	"time"

	"hocket.dev/broker"
	"hocket.dev/dialect"
	"hocket.dev/internal/jsonval"
	"hocket.dev/internal/origin"
	"hocket.dev/internal/rule"
	"hocket.dev/internal/session"
)

// Bounds and defaults of tickets, in milliseconds.
const (
	ticketTTL    = 30_000
	minTicketTTL = 1000
	maxTicketTTL = 3_600_000
	// maxYears bounds every other time: ten years.
	maxYears = 10 * 365 * 24 * 3_600_000
)

// A Ticket is what a back end wants a client to be let in with, once.
type Ticket struct {
	User         string
	Info         []byte // one JSON value, nil for none
	Capabilities map[string][]string
	TTL          time.Duration // until it has to be shown
	Session      time.Duration // how long the session may last that it opens; 0 for no end
	Address      netip.Addr    // where the client has to come from; the zero value for anywhere
	Origin       string        // the origin of the page that has to show it; "" for any
}

// tickets issues a ticket.
func (h *Handler) tickets(ctx context.Context, dst, body []byte) ([]byte, *dialect.Error) {
	if h.cfg.Issue == nil {
		return nil, dialect.Errorf(dialect.NotSupported, "the broker of this server keeps no tickets")
	}
	f, err := scan(body, "user", "info", "capabilities", "ttl_ms", "session_ms", "address", "origin")
	if err != nil {
		return nil, err
	}
	var t Ticket
	if t.User, err = f.user("user"); err != nil {
		return nil, err
	}
	if f.has("info") {
		if t.Info = append([]byte(nil), f["info"]...); len(t.Info) > h.cfg.Node.Limits().InfoBytes {
			return nil, dialect.Errorf(dialect.InfoTooLarge, "info may have at most %d bytes", h.cfg.Node.Limits().InfoBytes)
		}
	}
	if t.Capabilities, err = f.capabilities(t.User); err != nil {
		return nil, err
	}
	if t.TTL, err = f.duration("ttl_ms", minTicketTTL, maxTicketTTL); err != nil {
		return nil, err
	}
	if t.TTL == 0 {
		t.TTL = ticketTTL * time.Millisecond
	}
	if t.Session, err = f.duration("session_ms", 1000, maxYears); err != nil {
		return nil, err
	}
	if t.Origin, err = f.text(dialect.InvalidMessage, "origin", maxName); err != nil {
		return nil, err
	}
	if _, failed := origin.Parse(t.Origin); failed != nil && t.Origin != "" {
		return nil, dialect.Errorf(dialect.InvalidMessage, "origin %v", failed) // no page could ever show the ticket
	}
	if t.Address, err = f.address(); err != nil {
		return nil, err
	}
	ticket, expires, err := h.cfg.Issue(ctx, &t)
	if err != nil {
		return nil, err
	}
	dst = jsonval.AppendString(append(dst, `{"ticket":`...), ticket)
	return append(strconv.AppendInt(append(dst, `,"expires_at":`...), expires.UnixMilli(), 10), '}'), nil
}

// user reads a user's id; "" when it is not there.
func (f fields) user(name string) (string, *dialect.Error) {
	s, err := f.text(dialect.InvalidMessage, name, maxName)
	if err != nil {
		return "", err
	}
	if wrong := rule.CheckUser(s); wrong != nil {
		return "", dialect.Errorf(dialect.InvalidMessage, "%s: %v", name, wrong)
	}
	return s, nil
}

// capabilities reads lists of verbs by pattern; nil when they are not there.
func (f fields) capabilities(user string) (lists map[string][]string, err *dialect.Error) {
	if !f.has("capabilities") {
		return nil, nil
	}
	if json.Unmarshal(f["capabilities"], &lists) != nil || lists == nil {
		return nil, dialect.Errorf(dialect.InvalidMessage, `capabilities must be lists of verbs by pattern, such as {"chat:*":["subscribe"]}`)
	}
	if _, wrong := rule.ParseCapabilities(lists, user); wrong != nil {
		return nil, dialect.Errorf(dialect.InvalidMessage, "%v", wrong)
	}
	return lists, nil
}

// duration reads a number of milliseconds; 0 when it is not there.
func (f fields) duration(name string, least, most uint64) (time.Duration, *dialect.Error) {
	ms, err := f.whole(dialect.InvalidMessage, name, least, most)
	return time.Duration(ms) * time.Millisecond, err
}

// address reads an IP address; the zero value when it is not there.
func (f fields) address() (netip.Addr, *dialect.Error) {
	s, err := f.text(dialect.InvalidMessage, "address", maxName)
	if err != nil || s == "" {
		return netip.Addr{}, err
	}
	a, wrong := netip.ParseAddr(s)
	if wrong != nil || a.Zone() != "" {
		return netip.Addr{}, dialect.Errorf(dialect.InvalidMessage, "address must be an IP address, without a port")
	}
	return a.Unmap(), nil
}

// revoke takes back what was proved.
func (h *Handler) revoke(ctx context.Context, dst, body []byte) ([]byte, *dialect.Error) {
	f, err := scan(body, "token", "user", "all", "channels", "issued_before", "ttl_ms")
	if err != nil {
		return nil, err
	}
	var r session.Revocation
	if r.Token, err = f.text(dialect.InvalidMessage, "token", maxName); err != nil {
		return nil, err
	}
	if r.User, err = f.user("user"); err != nil {
		return nil, err
	}
	if r.All, err = f.truth("all"); err != nil {
		return nil, err
	}
	if f.has("channels") && (json.Unmarshal(f["channels"], &r.Channels) != nil || len(r.Channels) == 0) {
		return nil, dialect.Errorf(dialect.InvalidMessage, "channels must be an array of patterns")
	}
	before, err := f.whole(dialect.InvalidMessage, "issued_before", 1, broker.MaxOffset)
	if err != nil {
		return nil, err
	}
	if before != 0 {
		r.Before = time.UnixMilli(int64(before))
	}
	if r.For, err = f.duration("ttl_ms", 1000, maxYears); err != nil {
		return nil, err
	}
	if err := h.cfg.Node.Revoke(ctx, r); err != nil {
		return nil, err
	}
	return append(dst, `{}`...), nil
}

// disconnect closes a session, or all sessions of a user.
func (h *Handler) disconnect(ctx context.Context, dst, body []byte) ([]byte, *dialect.Error) {
	f, err := scan(body, "session", "user", "reconnect")
	if err != nil {
		return nil, err
	}
	name, err := f.text(dialect.InvalidMessage, "session", maxName)
	if err != nil {
		return nil, err
	}
	user, err := f.user("user")
	if err != nil {
		return nil, err
	}
	again, err := f.truth("reconnect")
	if err != nil {
		return nil, err
	}
	if (name == "") == (user == "") {
		return nil, dialect.Errorf(dialect.InvalidMessage, "a session is disconnected, or all of a user: name one of them")
	}
	n, failed := h.cfg.Node.Disconnect(ctx, name, user, again)
	if failed != nil {
		return nil, dialect.Errorf(dialect.Timeout, "not every session could be asked in time: %d are disconnected", n)
	}
	return append(strconv.AppendInt(append(dst, `{"sessions":`...), int64(n), 10), '}'), nil
}

// truth reads true or false; false when it is not there.
func (f fields) truth(name string) (bool, *dialect.Error) {
	if !f.has(name) {
		return false, nil
	}
	b, ok := jsonval.Bool(f[name])
	if !ok {
		return false, dialect.Errorf(dialect.InvalidMessage, "%s must be true or false, not %s", name, excerpt(f[name]))
	}
	return b, nil
}
