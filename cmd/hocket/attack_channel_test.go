package main

import (
	"fmt"
	"strings"
	"testing"
)

// request sends a request with this id, and returns its reply or error without the id and the channel.
func (c *conversation) request(id int, text string) string {
	c.t.Helper()
	c.send(strings.Replace(text, `{`, fmt.Sprintf(`{"id":%d,`, id), 1))
	for {
		msg := c.want(`{`)
		for _, kind := range []string{"reply", "error"} {
			if strings.HasPrefix(msg, fmt.Sprintf(`{"type":"%s","id":%d,`, kind, id)) || msg == fmt.Sprintf(`{"type":"%s","id":%d}`, kind, id) {
				return msg
			}
		}
	}
}

// A capability opens what it says and nothing that looks like it.
func TestAttackOnCapabilities(t *testing.T) {
	n := startGuarded(t, "fallback: {presence: true, history: {count: 10}}")
	can := `"capabilities":{"chat:*":["subscribe","publish","history","presence"],"own:{user}":["subscribe","publish"]}`
	ada := knock(t, n, "", bearer(sign(`"sub":"ada",`+can)), "127.0.0.1")
	ada.want(`{"type":"connected"`)
	id := 0
	for _, channel := range []string{"chat:lobby", "own:ada"} {
		id++
		if msg := ada.request(id, `{"type":"subscribe","channel":"`+channel+`"}`); !strings.HasPrefix(msg, `{"type":"reply"`) {
			t.Errorf("%s: %s", channel, msg)
		}
	}
	for _, channel := range []string{
		"chat-admin", "chat", "chat:a:b", "chat:*", "chat:>", "chat:", "chat::a", ":chat:a", "chats:a", "xchat:a", "CHAT:a", "chat:a\\u0000", "chat:a\\n",
		"chat:\\uD800", "chat：a", "$presence:chat:a", "$chat:a", "*", ">", "*:a", "own:{user}", "own:bo", "own:*", "own:ada:x", "own:", "$presence:own:ada",
	} {
		for _, request := range []string{"subscribe", "publish", "history", "presence"} {
			id++
			if msg := ada.request(id, `{"type":"`+request+`","channel":"`+channel+`","payload":{}}`); !strings.HasPrefix(msg, `{"type":"error"`) {
				t.Errorf("%s of %s: %s", request, channel, msg)
			}
		}
	}
	// One who is called like the pattern has no more than others, and no one in particular has no channel of its own.
	for _, claims := range []string{`"sub":"{user}",` + can, `"sub":"",` + can, can} {
		c := knock(t, n, "", bearer(sign(claims)), "127.0.0.1")
		c.want(`{`)
		for i, channel := range []string{"own:ada", "own:", "own:*"} {
			if msg := c.request(i+1, `{"type":"subscribe","channel":"`+channel+`"}`); !strings.HasPrefix(msg, `{"type":"error"`) {
				t.Errorf("%s: %s: %s", claims, channel, msg)
			}
		}
	}
	// A refusal is the same whether there is such a channel or not.
	api(t, n, "publish", `{"channel":"secret:there","payload":1}`)
	for i, request := range []string{"subscribe", "publish", "history", "presence"} {
		there := ada.request(500+2*i, `{"type":"`+request+`","channel":"secret:there","payload":{}}`)
		absent := ada.request(501+2*i, `{"type":"`+request+`","channel":"secret:gone!","payload":{}}`)
		absent = strings.ReplaceAll(strings.ReplaceAll(absent, "gone!", "there"), fmt.Sprint(501+2*i), fmt.Sprint(500+2*i))
		if there != absent || !strings.Contains(there, `"code":1403`) {
			t.Errorf("%s tells whether a channel is there:\n%s\n%s", request, there, absent)
		}
	}
}

// What the server says of an entry cannot be said by who publishes it, in the message or by its payload.
func TestAttackByForgedFields(t *testing.T) {
	n := startGuarded(t, "channels: [{pattern: 'chat:*', allow: ['*'], history: {count: 10}}]")
	bo := knock(t, n, "", bearer(sign(`"sub":"bo"`)), "127.0.0.1")
	bo.want(`{"type":"connected"`)
	bo.request(1, `{"type":"subscribe","channel":"chat:a"}`)
	ada := knock(t, n, "", bearer(sign(`"sub":"ada"`)), "127.0.0.1")
	ada.want(`{"type":"connected"`)

	ada.request(1, `{"type":"publish","channel":"chat:a","payload":1,"from":{"user":"root","session":"x"},"offset":7,"time":1,"epoch":"x","user":"root","session":"x"}`)
	msg := bo.want(`{"type":"message"`)
	if !strings.Contains(msg, `"from":{"user":"ada","session":"`) || strings.Contains(msg, "root") || strings.Contains(msg, `"offset":7,`) || strings.Contains(msg, `"time":1,`) {
		t.Errorf("a forged message comes as %s", msg)
	}
	for i, payload := range []string{
		`1},{"type":"message","channel":"chat:a","payload":2}`, `1}` + "\n" + `{"type":"connected"}`, `{"a":1},"from":{"user":"root"}`, `"a","channel":"chat:b"`,
		`{"__proto__":{"admin":true}}`, `{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, "\"\\ud800\"", `NaN`, `01`, `1 2`, `{"a":1}}`, "\"a\tb\"", `'a'`, `{a:1}`, ``,
	} {
		ada.send(`{"type":"publish","id":` + fmt.Sprint(10+i) + `,"channel":"chat:a","payload":` + payload + `}`)
	}
	ada.request(100, `{"type":"publish","channel":"chat:a","payload":"</script>\u2028\"},{\"type\":\"reconnect\""}`)
	// One of them is a message with a member that is not looked at; the others are none.
	if msg = bo.want(`{"type":"message"`); !strings.Contains(msg, `"payload":{"a":1},"from":{"user":"ada",`) {
		t.Errorf("a payload with more behind it comes as %s", msg)
	}
	msg = bo.want(`{"type":"message"`)
	if !strings.Contains(msg, `"payload":"</script>\u2028\"},{\"type\":\"reconnect\""`) {
		t.Errorf("it comes as %s", msg)
	}
	// What is the server's own is nobody else's, whatever a proof says.
	root := knock(t, n, "", bearer(sign(`"sub":"root","capabilities":{">":["*"],"$presence:>":["*"],"$revocations":["*"],"$ephemeral":["*"]}`)), "127.0.0.1")
	root.want(`{"type":"connected"`)
	for i, channel := range []string{"$presence:chat:a", "$sys", "$", "$estate:x", "$revocations", "$ephemeral"} {
		for j, request := range []string{"publish", "subscribe", "history", "state", "presence"} {
			for _, c := range []*conversation{ada, root} {
				if msg := c.request(200+10*i+j, `{"type":"`+request+`","channel":"`+channel+`","payload":{}}`); !strings.Contains(msg, `"code":1403`) {
					t.Errorf("%s of %s: %s", request, channel, msg)
				}
			}
		}
	}
	for i, request := range []string{
		`{"type":"connected","payload":{"user":"root"}}`, `{"type":"message","channel":"chat:a","payload":1}`, `{"type":"reply","payload":{}}`,
		`{"type":"join","channel":"chat:a","members":[]}`, `{"type":"event","payload":1}`, `{"type":"connect","payload":{"user":"root"}}`,
	} {
		if msg := ada.request(300+i, request); strings.Contains(msg, `"user":"root"`) || strings.HasPrefix(msg, `{"type":"message"`) {
			t.Errorf("%s: %s", request, msg)
		}
	}
}

// A call that is refused is refused in the same words whether there is such a method or not.
func TestAttackOnMethods(t *testing.T) {
	n := start(t, command("serve", "--dev", "--listen", "127.0.0.1:0", "--config", write(t, `
anonymous: false
tokens: {keys: [{secret: "`+attackSecret+`"}]}
`)))
	may := knock(t, n, "", bearer(sign(`"sub":"bo","capabilities":{"echo":["call"]}`)), "127.0.0.1")
	may.want(`{"type":"connected"`)
	if msg := may.request(1, `{"type":"call","method":"echo","payload":1}`); msg != `{"type":"reply","id":1,"payload":1}` {
		t.Errorf("who may call is told %s", msg)
	}
	ada := knock(t, n, "", bearer(sign(`"sub":"ada","capabilities":{"ech":["call"],"echo:*":["call"],"echo":["publish"]}`)), "127.0.0.1")
	ada.want(`{"type":"connected"`)
	for i, payload := range []string{`1`, `null`, `{"a":[]}`} {
		there := ada.request(2*i, `{"type":"call","method":"echo","payload":`+payload+`}`)
		absent := ada.request(2*i+1, `{"type":"call","method":"gone","payload":`+payload+`}`)
		absent = strings.ReplaceAll(strings.ReplaceAll(absent, "gone", "echo"), fmt.Sprintf(`"id":%d`, 2*i+1), fmt.Sprintf(`"id":%d`, 2*i))
		if there != absent || !strings.Contains(there, `"code":1403`) {
			t.Errorf("a refused call tells whether there is a method:\n%s\n%s", there, absent)
		}
	}
}
