package session

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"hocket.dev/internal/rule"
)

func sealedRules(t *testing.T) func(c *Config) {
	t.Helper()
	set, err := rule.Compile([]rule.Rule{{Pattern: "dm:>", E2E: true, History: rule.History{Count: 10}}}, rule.Rule{})
	if err != nil {
		t.Fatal(err)
	}
	return func(c *Config) { c.Rules = set }
}

const sealed = `{"e2e":1,"kid":"k1","iv":"AAAAAAAAAAAAAAAA","data":"AAAAAAAAAAAAAAAAAAAAAAA"}`

func TestAnEncryptedChannelTakesEnvelopesAlone(t *testing.T) {
	w := newWorld(t, sealedRules(t))
	c := w.connect()
	c.send(`{"type":"subscribe","id":1,"channel":"dm:1"}`, `{"type":"subscribe","id":2,"channel":"open"}`)
	got := c.want(`"channel":"dm:1"`, `"recovered":true}}`)
	if !strings.HasSuffix(got[0], `"recovered":true,"e2e":true}}`) {
		t.Errorf("the reply is %s", got[0])
	}
	c.send(`{"type":"publish","id":3,"channel":"dm:1","key":"k","payload":` + sealed + `}`)
	c.want(`"type":"reply","id":3`, `"payload":`+sealed)
	c.send(`{"type":"publish","id":4,"channel":"dm:1","key":"k","op":"delete","payload":null}`)
	c.want(`"type":"reply","id":4`, `"op":"delete"`)
	const form = `it must be an object with \"e2e\", \"kid\", \"iv\" and \"data\"`
	for payload, want := range map[string]string{
		`{"text":"a secret"}`: `it may have no other field: everybody could read that`,
		`"a secret"`:          form,
		`{"e2e":1,"kid":"k1","iv":"AAAAAAAAAAAAAAAA"}`: form,
		strings.Replace(sealed, `1`, `2`, 1):           `e2e must be 1`,
		strings.Replace(sealed, `k1`, ``, 1):           `kid must be a string of 1 to 64 bytes`,
		strings.Replace(sealed, `"k1"`, `1`, 1):        `kid must be a string of 1 to 64 bytes`,
		strings.Replace(sealed, `AAAAAA"`, `AAAA"`, 1): `iv must be 12 bytes in base64url without padding`,
		strings.Replace(sealed, `AAAAA"`, `AAA=="`, 1): `iv must be 12 bytes in base64url without padding`,
		strings.Replace(sealed, `A"}`, `"}`, 1):        `data must be 17 bytes or more in base64url without padding`,
		strings.Replace(sealed, `A"}`, `B"}`, 1):       `data must be 17 bytes or more in base64url without padding`,
		strings.Replace(sealed, `A"}`, `\n"}`, 1):      `data must be 17 bytes or more in base64url without padding`,
		strings.Replace(sealed, `A"}`, `+"}`, 1):       `data must be 17 bytes or more in base64url without padding`,
		strings.Replace(sealed, `}`, `,"a":1}`, 1):     `it may have no other field: everybody could read that`,
	} {
		c.send(`{"type":"publish","id":5,"channel":"dm:1","payload":` + payload + `}`)
		c.want(fmt.Sprintf(`"id":5,"channel":"dm:1","error":{"code":1115,"name":"not_encrypted","message":"the payloads of dm:1 are encrypted end to end, and this one is not: %s"`, want))
	}
	c.send(`{"type":"publish","id":6,"channel":"dm:1","key":"k","op":"append","payload":` + sealed + `}`)
	c.want(`"id":6,"channel":"dm:1","error":{"code":1501,"name":"not_supported","message":"nothing can be appended on dm:1:`)
	c.send(`{"type":"publish","id":7,"channel":"dm:1","payload":"AAAA","encoding":"base64"}`)
	c.want(`"name":"not_encrypted","message":"the payloads of dm:1 are encrypted end to end, and this one is not: it is no JSON"`)
	c.send(`{"type":"publish","id":8,"channel":"dm:1","key":"k","op":"delete","payload":"a secret"}`)
	c.want(`"id":8,"channel":"dm:1","error":{"code":1115`)
}

// FuzzReadSealed holds that what is taken for an envelope is one to another reader, too, and says nothing else.
func FuzzReadSealed(f *testing.F) {
	f.Add([]byte(sealed))
	f.Add([]byte(`{"e2e":1,"k\u0069d":"\u00e4","iv":"AAAAAAAAAAAAAAAA","data":"____________________________"}`))
	f.Add([]byte(`{"e2e":1,"kid":"k","iv":"AAAAAAAAAAAAAAAA","data":"AAAAAAAAAAAAAAAAAAAAAAA","text":"a secret"}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		if readSealed(payload) != nil {
			return
		}
		var fields map[string]any
		if err := json.Unmarshal(payload, &fields); err != nil || len(fields) != 4 {
			t.Fatalf("%s: %v, %v", payload, fields, err)
		}
		kid, _ := fields["kid"].(string)
		iv, err := base64.RawURLEncoding.Strict().DecodeString(fields["iv"].(string))
		data, failed := base64.RawURLEncoding.Strict().DecodeString(fields["data"].(string))
		if fields["e2e"] != 1.0 || len(kid) < 1 || len(kid) > 64 || len(iv) != 12 || len(data) < 17 || err != nil || failed != nil {
			t.Fatalf("%s is no envelope", payload)
		}
	})
}
