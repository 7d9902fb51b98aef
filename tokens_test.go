package hocket

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"hocket.dev/internal/token"
)

const tokenSecret = "a secret of the tests, which is long enough"

func TestTokensAreVerifiedAsConfigured(t *testing.T) {
	signer, err := NewTokenSigner([]byte(tokenSecret), "k1")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	text, err := signer.Sign(TokenClaims{User: "ada", Audience: []string{"chat"}, Issuer: "me", Expires: now.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	for what, test := range map[string]struct {
		tokens Tokens
		want   token.Reason
	}{
		"in order":      {Tokens{Keys: []TokenKey{{ID: "k1", Secret: tokenSecret, Algorithm: "HS256"}}, Audience: []string{"chat"}, Issuers: []string{"me"}}, 0},
		"any id":        {Tokens{Keys: []TokenKey{{Secret: tokenSecret}}, Audience: []string{"chat"}}, 0},
		"another id":    {Tokens{Keys: []TokenKey{{ID: "k2", Secret: tokenSecret}}, Audience: []string{"chat"}}, token.UnknownKey},
		"another one":   {Tokens{Keys: []TokenKey{{Secret: tokenSecret, Algorithm: "HS512"}}, Audience: []string{"chat"}}, token.UnknownKey},
		"for others":    {Tokens{Keys: []TokenKey{{Secret: tokenSecret}}, Audience: []string{"news"}}, token.Audience},
		"from others":   {Tokens{Keys: []TokenKey{{Secret: tokenSecret}}, Audience: []string{"chat"}, Issuers: []string{"you"}}, token.Issuer},
		"for nobody":    {Tokens{Keys: []TokenKey{{Secret: tokenSecret}}}, token.Audience},
		"none fetched":  {Tokens{JWKS: "https://issuer.example/keys", Audience: []string{"chat"}}, token.UnknownKey},
		"in the clear":  {Tokens{JWKS: "http://issuer.example/keys", JWKSInsecure: true}, token.UnknownKey},
		"known already": {Tokens{JWKS: "https://issuer.example/keys", Keys: []TokenKey{{Secret: tokenSecret}}, Audience: []string{"chat"}}, 0},
	} {
		v, source, err := test.tokens.open(slog.Default())
		if err != nil || v == nil || (source != nil) != (test.tokens.JWKS != "") {
			t.Errorf("%s: %v, %v, %v", what, v, source, err)
			continue
		}
		claims, err := v.Verify(text, now)
		if e, _ := err.(*token.Error); (e == nil) != (test.want == 0) || e != nil && e.Reason != test.want || e == nil && claims.User != "ada" {
			t.Errorf("%s: %+v, %v", what, claims, err)
		}
	}
	if v, source, err := (&Tokens{Audience: []string{"chat"}}).open(slog.Default()); v != nil || source != nil || err != nil {
		t.Errorf("without a key: %v, %v, %v", v, source, err)
	}
}

func TestWrongTokenSettings(t *testing.T) {
	public, err := os.ReadFile("internal/token/testdata/p256.pub.pem")
	if err != nil {
		t.Fatal(err)
	}
	for part, tokens := range map[string]Tokens{
		"Keys[0]: a key has either":     {Keys: []TokenKey{{}}},
		"Keys[1]: a key has either":     {Keys: []TokenKey{{Secret: tokenSecret}, {Secret: tokenSecret, Public: public}}},
		"it needs at least 32":          {Keys: []TokenKey{{Secret: "MARKED"}}},
		"which is no secret":            {Keys: []TokenKey{{Secret: string(public)}}},
		"not for this algorithm":        {Keys: []TokenKey{{Public: public, Algorithm: "HS256"}}},
		"several keys for one id":       {Keys: []TokenKey{{Public: append(public, public...), ID: "k"}}},
		"there is no key":               {Keys: []TokenKey{{Public: []byte("MARKED")}}},
		"key id may have":               {Keys: []TokenKey{{Secret: tokenSecret, ID: strings.Repeat("x", 256)}}},
		"an audience or issuer":         {Keys: []TokenKey{{Secret: tokenSecret}}, Audience: []string{""}},
		"at most 5m0s":                  {Keys: []TokenKey{{Secret: tokenSecret}}, Leeway: time.Hour},
		"must begin with https://":      {JWKS: "http://issuer.example/MARKED"},
		"Tokens: jwks: the URL is none": {JWKS: "MARKED"},
	} {
		if _, _, err := tokens.open(slog.Default()); err == nil || !strings.Contains(err.Error(), part) || strings.Contains(err.Error(), "MARKED") {
			t.Errorf("the error is %v, want one with %q", err, part)
		}
	}
}

func TestSessionCookie(t *testing.T) {
	w := httptest.NewRecorder()
	SetSessionCookie(w, "a.b-c_.d", time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC))
	ClearSessionCookie(w)
	want := []string{
		"__Host-hocket_session=a.b-c_.d; Path=/; Expires=Wed, 02 Jan 2030 03:04:05 GMT; HttpOnly; Secure; SameSite=Strict",
		"__Host-hocket_session=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Strict",
	}
	got := w.Header().Values("Set-Cookie")
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("cookies are set as\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.AddCookie(w.Result().Cookies()[0])
	if text, found, err := token.FindCookie(r.Header.Values("Cookie"), true); text != "a.b-c_.d" || !found || err != nil {
		t.Errorf("found as %q, %v, %v", text, found, err)
	}
}

func TestSetTokenKeys(t *testing.T) {
	signer, err := NewTokenSigner([]byte(tokenSecret), "")
	if err != nil {
		t.Fatal(err)
	}
	text, err := signer.Sign(TokenClaims{User: "ada", Expires: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	srv, err := New(Config{Log: slog.New(slog.DiscardHandler), Tokens: Tokens{Keys: []TokenKey{{Secret: "another " + tokenSecret}}}})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close(t.Context())
	holds := func() bool {
		_, err := srv.gate.verifier.Verify(text, time.Now())
		return err == nil
	}
	if err := srv.SetTokenKeys([]TokenKey{{Secret: tokenSecret}, {Secret: "MARKED"}}); err == nil || strings.Contains(err.Error(), "MARKED") || holds() {
		t.Errorf("keys of which one is wrong: %v", err)
	}
	if err := srv.SetTokenKeys([]TokenKey{{Secret: tokenSecret}}); err != nil || !holds() {
		t.Errorf("other keys: %v", err)
	}
	if err := srv.SetTokenKeys(make([]TokenKey, 0)); err != nil || holds() {
		t.Errorf("no key: %v", err)
	}
	bare, err := New(Config{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer bare.Close(t.Context())
	if err := bare.SetTokenKeys([]TokenKey{{Secret: tokenSecret}}); err == nil {
		t.Error("keys are taken where no token is checked")
	}
}
