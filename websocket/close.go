package websocket

import (
	"context"
	"errors"
	"fmt"

	"hocket.dev/wire"
)

// Close ends the connection properly (RFC 6455 §7.1.2): it sends a close frame, waits
// up to 5 s each for its turn to write, behind what is pending, and for the peer's close frame, up to 1 s for the
// peer to end the network connection, and closes it. Messages that come meanwhile are dropped, or go to a Read that is
// running. The reason is cut to 123 bytes; [CloseNoStatus] sends neither code nor reason.
//
// What is still pending after its 5 s is dropped, because the peer is slow or a
// [MessageWriter] is open; the close frame then has 1 s more for its turn, between two
// frames of an open message if need be.
//
// It returns nil when the peer answered and nothing was dropped; a code that must not be
// sent is an error and changes nothing; else the connection is closed in any case and the
// error says why the peer did not answer, or that messages were dropped.
func (c *Conn) Close(code CloseCode, reason string) error {
	if code != CloseNoStatus && !code.Valid() {
		return fmt.Errorf("websocket: close: code %d must not be sent (RFC 6455 §7.4)", code)
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	dropped := c.sendAll(ctx, true)
	if dropped != nil {
		c.queue.abandon()
		// §5.4: the frame may pass a message that is under way in frames, though those behind it may not.
		ctx, cancel = context.WithTimeout(context.Background(), lingerTimeout)
		defer cancel()
	}
	err := c.sendClose(ctx, code, reason) // at once the reason when the connection is over
	if err == nil {
		err = c.awaitClose()
	}
	_ = c.end(errClosed) // no news when the handshake ended it
	c.settle()
	if err == nil && dropped != nil {
		return fmt.Errorf("websocket: close: not all that was pending could be sent: %w", dropped)
	}
	return err
}

// CloseNow closes the network connection without a close frame. Every call under way
// ends. It returns nil, also when the connection was over before, so that it can be
// deferred.
//
// On a server, of a connection over HTTP/2, it returns when no write is under way any more,
// as Close does, so that the handler may return behind it. Usually that is at once; where
// the peer's network has gone, it takes until net/http notices (see package
// hocket.dev/websocket/http2).
func (c *Conn) CloseNow() error {
	_ = c.end(errClosed) // the reason that stands is of no interest here
	c.settle()
	return nil
}

// sendClose writes the one close frame of this side. Whatever comes of it, the caller
// knows why the connection ends, and ends it.
func (c *Conn) sendClose(ctx context.Context, code CloseCode, reason string) error {
	if err := c.acquire(ctx, c.writing, "close"); err != nil {
		return err
	}
	defer c.releaseWriting()
	if c.closeSent {
		return errClosed
	}
	c.closeSent = true
	var p [125]byte
	if err := c.writeControl(wire.Close, wire.AppendClosePayload(p[:0], code, reason)); err != nil {
		if over := c.reason(); over != nil {
			return over // such as CloseNow, which made the write fail
		}
		return fmt.Errorf("websocket: close: %w", err)
	}
	return nil
}

// awaitClose reads until the peer's close frame is there, here or in a Read that is
// running.
func (c *Conn) awaitClose() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	err := c.acquire(ctx, c.reading, "close")
	if err == nil {
		c.open.abandon()
		for err == nil {
			_, err = c.next(ctx)
		}
		<-c.reading
	}
	var answer *CloseError
	if errors.As(err, &answer) && answer.Code != wire.CloseAbnormal {
		c.reading <- struct{}{} // a Read that is running lets the network connection end well
		<-c.reading
		return nil
	}
	return fmt.Errorf("websocket: close: the peer did not answer: %w", err)
}
