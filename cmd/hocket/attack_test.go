package main

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"hocket.dev/websocket"
)

// What stands in the files of attacks: docs/security.md names each of them, and what it shows.

const (
	attackSecret = "MARKED secret of the attacks, which is long enough"
	attackKey    = "MARKED-key-of-the-attacks"
)

// startGuarded starts a server as one is that stands on the internet: it knows a secret, an RSA key and a key for its API, and
// everything else is as it is by default but for more.
func startGuarded(t *testing.T, more string) *node {
	t.Helper()
	cmd := command("serve", "--listen", "127.0.0.1:0", "--config", write(t, `
tokens: {keys: [{secret: "`+attackSecret+`"}, {file: `+testKeys+`rsa.pub.pem}]}
`+more))
	cmd.Env = append(cmd.Env, "HOCKET_API_KEYS="+attackKey)
	return start(t, cmd)
}

// forge makes a token of this header and these claims, with the HMAC of a key.
func forge(header, claims, key string) string {
	b64 := base64.RawURLEncoding.EncodeToString
	signed := b64([]byte(header)) + "." + b64([]byte(claims))
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(signed))
	return signed + "." + b64(mac.Sum(nil))
}

// sign makes a token that holds for an hour.
func sign(claims string) string {
	return forge(`{"alg":"HS256"}`, fmt.Sprintf(`{"exp":%d,%s}`, time.Now().Add(time.Hour).Unix(), claims), attackSecret)
}

// bearer is how a program shows a token.
func bearer(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

// knock makes a handshake, from an address of this machine, that is admitted as far as WebSocket goes.
func knock(t *testing.T, n *node, query string, header http.Header, from string) *conversation {
	t.Helper()
	return converse(t, n, query, header, dialAs(t, from, n.http))
}

// converse makes a handshake on a connection.
func converse(t *testing.T, n *node, query string, header http.Header, nc net.Conn) *conversation {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	c, _, err := websocket.Dial(ctx, n.ws()+query, &websocket.DialOptions{
		Header: header, NetDial: func(context.Context, string, string) (net.Conn, error) { return nc, nil },
	})
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.CloseNow()
		cancel()
	})
	return &conversation{t, c, ctx}
}

// first is the first message and, when that is an error, the code that the server closes with.
func (c *conversation) first() (msg string, code websocket.CloseCode) {
	c.t.Helper()
	if msg = c.want(`{`); strings.HasPrefix(msg, `{"type":"error"`) {
		code = c.closed()
	}
	return msg, code
}

// api is what a back end asks, and the result.
func api(t *testing.T, n *node, method, body string) string {
	t.Helper()
	status, answer := get(t, n, "/api/v1/"+method, func(r *http.Request) {
		r.Method = http.MethodPost
		r.Body = io.NopCloser(strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+attackKey)
	})
	if status != http.StatusOK {
		t.Fatalf("%s %s: %d %s", method, body, status, answer)
	}
	return answer
}

func ticketFor(t *testing.T, n *node, body string) string {
	t.Helper()
	var answer struct{ Result struct{ Ticket string } }
	if err := json.Unmarshal([]byte(api(t, n, "tickets", body)), &answer); err != nil || answer.Result.Ticket == "" {
		t.Fatalf("%+v, %v", answer, err)
	}
	return answer.Result.Ticket
}

const upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

// speak sends bytes and reads the first answer and what follows it; status is 0 when there is none.
func speak(t *testing.T, n *node, text string) (status int, rest string) {
	t.Helper()
	nc := dialAs(t, "127.0.0.1", n.http)
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(time.Minute))
	io.WriteString(nc, text)
	r := bufio.NewReader(nc)
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		return 0, ""
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusSwitchingProtocols {
		return response.StatusCode, ""
	}
	_, _ = io.Copy(io.Discard, response.Body)
	tail, _ := io.ReadAll(r)
	return response.StatusCode, string(tail)
}

// A page of another origin that comes with what its visitor's browser adds is answered 403 before its proof is looked at, and
// so is one that hides where it comes from.
func TestAttackOfAForeignPage(t *testing.T) {
	n := startGuarded(t, "")
	cookie := "hocket_session=" + sign(`"sub":"victim"`)
	for _, from := range []string{"https://evil.example", "null", "http://" + n.http + ".evil.example", "http://evil@" + n.http, "http://127.0.0.1", ""} {
		request := "GET /v1/ws HTTP/1.1\r\nHost: " + n.http + "\r\n" + upgrade + "Origin: " + from + "\r\nCookie: " + cookie + "\r\nConnection: close\r\n\r\n"
		if status, _ := speak(t, n, request); status != http.StatusForbidden && status != http.StatusBadRequest {
			t.Errorf("a page of %q is answered %d", from, status)
		}
	}
	two := "GET /v1/ws HTTP/1.1\r\nHost: " + n.http + "\r\n" + upgrade + "Origin: http://" + n.http + "\r\nOrigin: https://evil.example\r\nCookie: " + cookie + "\r\nConnection: close\r\n\r\n"
	if status, _ := speak(t, n, two); status != http.StatusForbidden && status != http.StatusBadRequest {
		t.Errorf("a page of two origins is answered %d", status)
	}
	own := knock(t, n, "", http.Header{"Origin": {"http://" + n.http}, "Cookie": {cookie}}, "127.0.0.1")
	if msg, _ := own.first(); !strings.Contains(msg, `"user":"victim"`) {
		t.Errorf("the own page: %s", msg)
	}
	// Cookies without an origin are no proof: it may be a page whose browser tells none.
	lone := knock(t, n, "", http.Header{"Cookie": {cookie}}, "127.0.0.1")
	lone.send(`{"type":"connect","id":1,"payload":{}}`)
	if msg := lone.want(`{`); strings.Contains(msg, "victim") || !strings.Contains(msg, `"code":1401`) {
		t.Errorf("a cookie without an origin: %s", msg)
	}
}

// What two readers could take for different requests is refused, and what stands behind it is not answered.
func TestAttackByTwoMeanings(t *testing.T) {
	n := startGuarded(t, "")
	const hidden = "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
	host := "Host: " + n.http + "\r\n"
	// What is whole, though it is refused, does not hide what follows: a folded line is one line with spaces (RFC 9112 §5.2).
	whole := map[string]bool{
		"a folded line": true, "a token entry alone": true, "a handshake with a body": true, "a handshake in chunks": true,
	}
	for what, request := range map[string]string{
		"two lengths":              "POST /api/v1/info HTTP/1.1\r\n" + host + "Content-Length: 0\r\nContent-Length: 5\r\n\r\n",
		"a length and chunks":      "POST /v1/ws HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked, identity\r\nContent-Length: 4\r\n\r\n",
		"a handshake with a body":  "GET /v1/ws HTTP/1.1\r\n" + host + upgrade + "Content-Length: 5\r\n\r\n12345",
		"a handshake in chunks":    "GET /v1/ws HTTP/1.1\r\n" + host + upgrade + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"a folded line":            "GET /v1/ws HTTP/1.1\r\n" + host + upgrade + "X: a\r\n b\r\nOrigin:\r\n https://evil.example\r\n\r\n",
		"white space before colon": "GET /v1/ws HTTP/1.1\r\n" + host + upgrade + "Origin : https://evil.example\r\n\r\n",
		"two hosts":                "GET /v1/ws HTTP/1.1\r\n" + host + "Host: evil.example\r\n" + upgrade + "\r\n",
		"no host":                  "GET /v1/ws HTTP/1.1\r\n" + upgrade + "\r\n",
		"a lone CR":                "GET /v1/ws HTTP/1.1\r\n" + host + upgrade + "X: a\rOrigin: b\r\n\r\n",
		"a NUL":                    "GET /v1/ws HTTP/1.1\r\n" + host + upgrade + "X: a\x00\r\n\r\n",
		"a token entry alone":      "GET /v1/ws HTTP/1.1\r\n" + host + upgrade + "Sec-WebSocket-Protocol: hocket.token." + sign(`"sub":"ada"`) + "\r\n\r\n",
		"an absolute target":       "GET http://evil.example/v1/ws HTTP/1.1\r\n" + host + upgrade + "Origin: http://" + n.http + "\r\nConnection: close\r\n\r\n",
	} {
		status, rest := speak(t, n, request+hidden)
		if (status < 400 || status >= 500) && status != http.StatusNotImplemented || strings.Contains(rest, "200 OK") && !whole[what] {
			t.Errorf("%s: answered %d, and then %q", what, status, rest)
		}
	}
}

// Nothing but what is to be seen comes out, however a path is written.
func TestAttackOnPaths(t *testing.T) {
	n := startDev(t)
	for _, path := range []string{
		"/../../../../etc/passwd", "/..%2f..%2f..%2fetc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/..\\..\\etc\\passwd", "/....//....//etc/passwd",
		"/static/../../go.mod", "/index.html/../../go.mod", "//etc/passwd", "/%00", "/index.html%00.txt", "/console/../../../etc/passwd",
		"/.git/config", "/hocket.yaml", "/.", "/v1/../../etc/passwd", "/api/v1/../../etc/passwd",
	} {
		nc := dialAs(t, "127.0.0.1", n.http)
		nc.SetDeadline(time.Now().Add(time.Minute))
		io.WriteString(nc, "GET "+path+" HTTP/1.1\r\nHost: "+n.http+"\r\nConnection: close\r\n\r\n")
		all, err := io.ReadAll(nc)
		nc.Close()
		if err != nil || strings.HasPrefix(string(all), "HTTP/1.1 200") || strings.Contains(string(all), "root:") {
			t.Errorf("%s: %v\n%.200s", path, err, all)
		}
	}
}

// knockLater connects, and returns what makes the handshake and tells whether somebody is let in.
func knockLater(t *testing.T, n *node) func(query string) bool {
	nc := dialAs(t, "127.0.0.1", n.http)
	return func(query string) bool {
		c, _, err := websocket.Dial(t.Context(), n.ws()+query, &websocket.DialOptions{
			NetDial: func(context.Context, string, string) (net.Conn, error) { return nc, nil },
		})
		if err != nil {
			t.Error(err)
			return false
		}
		defer c.CloseNow()
		_, msg, err := c.Read(t.Context())
		if err != nil {
			t.Error(err)
		}
		return strings.HasPrefix(string(msg), `{"type":"connected"`)
	}
}

// serveHook answers questions of the server as a back end, and returns its URL.
func serveHook(t *testing.T, answer http.HandlerFunc) string {
	t.Helper()
	app := httptest.NewServer(answer)
	t.Cleanup(app.Close)
	return app.URL
}
