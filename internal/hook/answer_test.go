package hook

import (
	"strings"
	"testing"
	"unicode/utf8"

	"hocket.dev/dialect"
	"hocket.dev/internal/jsonval"
	"hocket.dev/internal/rule"
)

func TestAnswersThatAreWrong(t *testing.T) {
	many := `{"allow":true,"capabilities":{`
	for i := range rule.MaxCapabilities + 1 {
		if i > 0 {
			many += ","
		}
		many += `"c` + strings.Repeat("i", i) + `":[]`
	}
	for text, want := range map[string]string{
		``:                                        "is not one JSON object",
		`[]`:                                      "is not one JSON object",
		`{}`:                                      "must say allow or deny",
		`{"allow":null}`:                          "must say allow or deny",
		`{"allow":1}`:                             "allow must be true or false",
		`{"allow":true,"deny":{}}`:                "both allow and deny",
		`{"deny":true}`:                           "deny must be an object",
		`{"deny":{"code":1404}}`:                  "deny.code must be",
		`{"deny":{"code":9999}}`:                  "deny.code must be",
		`{"deny":{"code":1000000}}`:               "deny.code must be",
		`{"deny":{"code":"1403"}}`:                "deny.code must be",
		`{"deny":{"code":10000,"name":"A"}}`:      "deny.name must be",
		`{"deny":{"code":10000,"name":""}}`:       "deny.name must be",
		`{"deny":{"message":1}}`:                  "deny.message must be",
		`{"deny":{"retry_after_ms":-1}}`:          "deny.retry_after_ms must be",
		`{"deny":{"retry_after_ms":86400001}}`:    "deny.retry_after_ms must be",
		`{"allow":true,"user":1}`:                 "user must be a string",
		`{"allow":true,"user":"a:b"}`:             "user may not hold",
		`{"allow":true,"token_id":7}`:             "token_id must be",
		`{"allow":true,"expires_at":"soon"}`:      "expires_at must be",
		`{"allow":true,"expires_at":1.5}`:         "expires_at must be",
		`{"allow":true,"capabilities":[]}`:        "capabilities must be an object",
		`{"allow":true,"capabilities":{"a":1}}`:   "capabilities must be an object of lists",
		`{"allow":true,"capabilities":{"a":[1]}}`: "a verb of capabilities must be a string",
		`{"allow":true,"capabilities":{"a":["x"` + strings.Repeat(`,"x"`, maxVerbs) + `]}}`: "at most 32 verbs",
		many + `}}`:                                             "capabilities must be at most",
		`{"allow":true,"encoding":"hex"}`:                       "encoding must be",
		`{"allow":true,"encoding":"base64"}`:                    "payload must be a string",
		`{"allow":true,"encoding":"base64","payload":1}`:        "payload must be a string",
		`{"allow":true,"encoding":"base64","payload":"%"}`:      "payload must be base64",
		`{"allow":true,"encoding":"base64","payload":"AP\n8="}`: "there is a line break at byte 2",
		`{"allow":true,"encoding":"base64","payload":"AP9="}`:   "has bits that belong to no byte",
		`{"allow":true,"tags":[]}`:                              "tags must be an object",
		`{"allow":true,"tags":{"a":1}}`:                         "a tag must be a string",
		`{"allow":true,"tags":{"":"1"}}`:                        "the name of a tag",
		`{"allow":true,"payload":` + strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth) + `}`: "nested too deep",
	} {
		if _, err := parse([]byte(text), Publish); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.100s: %v, want %q", text, err, want)
		}
	}
}

func TestWhatADenialTells(t *testing.T) {
	long := strings.Repeat("é", maxMessage)
	for text, want := range map[string]dialect.Error{
		`{"allow":false}`: {Code: 1403, Name: "permission_denied", Message: "The session may not do this."},
		`{"deny":{}}`:     {Code: 1403, Name: "permission_denied", Message: "The session may not do this."},
		`{"deny":{"code":1403,"name":"other","message":"no"}}`:              {Code: 1403, Name: "permission_denied", Message: "no"},
		`{"deny":{"message":" two\nlines\u0000\u2028here "}}`:               {Code: 1403, Name: "permission_denied", Message: "two lines  here"},
		`{"deny":{"message":"` + long + `"}}`:                               {Code: 1403, Name: "permission_denied", Message: long[:maxMessage]},
		`{"deny":{"message":"x` + long + `"}}`:                              {Code: 1403, Name: "permission_denied", Message: "x" + long[:maxMessage-2]},
		`{"deny":{"name":"muted","code":10000}}`:                            {Code: 10000, Name: "muted", Message: "The session may not do this."},
		`{"allow":false,"deny":{"code":999999,"message":"no"},"x":{"y":1}}`: {Code: 999999, Name: "refused", Message: "no"},
	} {
		a, err := parse([]byte(text), Subscribe)
		if err != nil || a.allow || *a.refused != want {
			t.Errorf("%.100s: %v %+v, want %+v", text, err, a, want)
		}
	}
	for text, want := range map[string]dialect.Code{
		`{"allow":false}`: dialect.Unauthenticated, `{"deny":{"code":1411}}`: dialect.TokenExpired, `{"deny":{"code":1403}}`: dialect.PermissionDenied,
	} {
		if a, err := parse([]byte(text), Authenticate); err != nil || a.refused.Code != want {
			t.Errorf("%s: %v %+v", text, err, a)
		}
	}
}

// FuzzParse holds what the rest of the node relies on, whatever a back end says.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{"allow":true,"user":"u1","info":{"a":1},"capabilities":{"chat:*":["subscribe","subscribes 5/s burst 9"]},"expires_at":1795000000000,"token_id":"t"}`,
		`{"allow":true,"payload":[1],"tags":{"a":"b"}}`, `{"allow":true,"payload":"AP8=","encoding":"base64"}`,
		`{"deny":{"code":10001,"name":"slow_mode","message":"wait\n","retry_after_ms":5}}`, `{"allow":false}`, `{"allow":true,"payload":null}`,
	} {
		f.Add([]byte(seed), byte(0))
		f.Add([]byte(seed), byte(2))
	}
	f.Fuzz(func(t *testing.T, b []byte, k byte) {
		before := string(b)
		a, err := parse(b, Kind(k%byte(len(kinds))))
		if string(b) != before {
			t.Fatal("it was changed")
		}
		if err != nil {
			return
		}
		if a.allow == (a.refused != nil) {
			t.Fatalf("%q both allows and denies, or neither", b)
		}
		if e := a.refused; e != nil {
			if e.Code < 1100 || e.Name == "" || e.Message == "" || len(e.Message) > maxMessage || !utf8.ValidString(e.Message) || clean(e.Message) != e.Message {
				t.Fatalf("%q refuses with %+v", b, e)
			}
		}
		if a.info != nil && jsonval.Check(a.info, maxDepth) != nil || rule.CheckUser(a.user) != nil {
			t.Fatalf("%q names %q, %q", b, a.user, a.info)
		}
		if a.payload != nil && a.format == 0 && jsonval.Check(a.payload, maxDepth-1) != nil {
			t.Fatalf("%q has the payload %q", b, a.payload)
		}
	})
}
