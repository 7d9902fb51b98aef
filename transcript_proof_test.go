package hocket

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"time"
)

// What the README of the transcripts gives away: it proves nothing anywhere else.
const (
	transcriptSecret   = "a secret of the transcripts, which everybody knows"
	transcriptAudience = "transcripts"
	transcriptKey      = "an-API-key-of-the-transcripts"
)

// relative is a time of a token's claims, from now.
var relative = regexp.MustCompile(`"(exp|nbf|iat)":"([+-][^"]+)"`)

// token makes a token of claims and gives it a name. It is signed by another secret than the server's when it is forged.
func (p *play) token(text string, forged bool) {
	name, claims, _ := strings.Cut(text, " ")
	claims = relative.ReplaceAllStringFunc(claims, func(s string) string {
		parts := relative.FindStringSubmatch(s)
		d, err := time.ParseDuration(parts[2])
		if err != nil {
			p.failf("%v", err)
		}
		return fmt.Sprintf("%q:%d", parts[1], time.Now().Add(d).Unix())
	})
	secret := transcriptSecret
	if forged {
		secret = "another " + secret
	}
	b64 := base64.RawURLEncoding.EncodeToString
	signed := b64([]byte(`{"alg":"HS256"}`)) + "." + b64([]byte(claims))
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(signed))
	p.bound["token:"+name] = signed + "." + b64(mac.Sum(nil))
}

// ticket has the server issue a ticket and gives it a name.
func (p *play) ticket(text string) {
	name, body, _ := strings.Cut(text, " ")
	var got struct{ Result struct{ Ticket string } }
	p.api("tickets", body, &got)
	p.bound["ticket:"+name] = got.Result.Ticket
}

// api asks the server for what back ends ask it for.
func (p *play) api(method, body string, result any) {
	r := httptest.NewRequest(http.MethodPost, "/api/v1/"+method, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+transcriptKey)
	w := httptest.NewRecorder()
	p.server().srv.ServeHTTP(w, r)
	if err := json.Unmarshal(w.Body.Bytes(), result); err != nil || w.Code != http.StatusOK {
		p.failf("%s: %d %s", method, w.Code, w.Body)
	}
}
