package session

import (
	"fmt"
	"strings"
	"testing"
)

func TestBadPlacesInAStateAreRefused(t *testing.T) {
	w := newWorld(t, func(*Config) {})
	c := w.connect()
	c.send(`{"type":"publish","channel":"m","key":"a","payload":1}`)
	for _, next := range []string{
		"x", "offset", "offset.", "offset.1", "offset.1.", "offset.-1.k", "offset.9007199254740992.k", "offset.x.k",
		"score.1.4029000000000000.k", "\x00", strings.Repeat(".", 500),
	} {
		c.send(fmt.Sprintf(`{"type":"state","id":1,"channel":"m","payload":{"next":%q}}`, strings.ReplaceAll(next, "\x00", " ")))
		c.want(`"code":1101,"name":"invalid_message","message":"next is not the one of a page before, in the same order"`)
	}
	for _, next := range []string{"offset.1.k", "score.1", "score.1.zz.k", "score.1.7ff0000000000000.k", "score.1.7ff8000000000001.k", "score.1.4029000000000000."} {
		c.send(fmt.Sprintf(`{"type":"state","id":1,"channel":"m","payload":{"order":"score","next":%q}}`, next))
		c.want(`"message":"next is not the one of a page before, in the same order"`)
	}
	c.send(`{"type":"state","id":1,"channel":"m","payload":{"next":"offset.0.other"}}`)
	c.want(`"message":"the log of m began anew: ask for the first page"`)
	c.send(`{"type":"state","id":1,"channel":"$presence:m"}`)
	c.want(`"permission_denied"`)
}
