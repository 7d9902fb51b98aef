package hook

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestVerify(t *testing.T) {
	body, other := []byte(`{"hook":"publish"}`), []byte("another secret, for later")
	signed := func(secrets ...[]byte) http.Header {
		h := http.Header{}
		sign(h, secrets, body, begin)
		return h
	}
	without := func(name string) http.Header {
		h := signed(secret)
		h.Del(name)
		return h
	}
	with := func(signature string) http.Header {
		h := signed(secret)
		h.Set(SignatureHeader, signature)
		return h
	}
	later := signed(secret)
	later.Set(TimestampHeader, "1795000000001")
	for name, test := range map[string]struct {
		header http.Header
		body   string
		secret []byte
		now    time.Time
		want   error
	}{
		"as signed":           {signed(secret), string(body), secret, begin, nil},
		"a while ago":         {signed(secret), string(body), secret, begin.Add(MaxAge), nil},
		"a clock behind":      {signed(secret), string(body), secret, begin.Add(-MaxAge), nil},
		"the first of two":    {signed(secret, other), string(body), secret, begin, nil},
		"the second of two":   {signed(secret, other), string(body), other, begin, nil},
		"too old":             {signed(secret), string(body), secret, begin.Add(MaxAge + time.Millisecond), ErrTimestamp},
		"too far ahead":       {signed(secret), string(body), secret, begin.Add(-MaxAge - time.Millisecond), ErrTimestamp},
		"no timestamp":        {without(TimestampHeader), string(body), secret, begin, ErrTimestamp},
		"another timestamp":   {later, string(body), secret, begin, ErrSignature},
		"no signature":        {without(SignatureHeader), string(body), secret, begin, ErrSignature},
		"an empty one":        {with("v1="), string(body), secret, begin, ErrSignature},
		"another version":     {with("v2" + signed(secret).Get(SignatureHeader)[2:]), string(body), secret, begin, ErrSignature},
		"one after too many":  {with(strings.Repeat("v1=00,", maxSignatures) + signed(secret).Get(SignatureHeader)), string(body), secret, begin, ErrSignature},
		"another secret":      {signed(secret), string(body), other, begin, ErrSignature},
		"no secret":           {signed([]byte{}), string(body), nil, begin, ErrSignature},
		"another body":        {signed(secret), `{"hook":"publish" }`, secret, begin, ErrSignature},
		"a shifted separator": {signed(secret), "." + string(body), secret, begin, ErrSignature},
	} {
		if err := Verify(test.header, []byte(test.body), test.secret, test.now); err != test.want {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
}
