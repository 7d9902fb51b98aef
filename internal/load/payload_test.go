package load

import (
	"encoding/json"
	"testing"
)

func TestPayloadIsJSONOfItsSize(t *testing.T) {
	for _, size := range []int{MinPayloadBytes, MinPayloadBytes + 1, 128, 1000} {
		in := payload{channel: 0xabc, seq: 1<<60 + 12, sent: 1 << 40}
		b := in.append(nil, size)
		if len(b) != size {
			t.Errorf("%d bytes, want %d", len(b), size)
		}
		var s string
		if err := json.Unmarshal(b, &s); err != nil || len(s) != size-2 {
			t.Errorf("%s: %v", b, err)
		}
		if out, ok := parsePayload(b); !ok || out != in {
			t.Errorf("%s reads as %+v, %v", b, out, ok)
		}
	}
}

func TestPayloadsDifferEverywhere(t *testing.T) {
	a, b := payload{seq: 1}.append(nil, 128), payload{seq: 2}.append(nil, 128)
	for i := fillerAt; i < 127; i++ {
		if a[i] == b[i] {
			t.Fatalf("byte %d of two messages is the same", i)
		}
	}
}

func TestScanPushAgreesWithJSON(t *testing.T) {
	tests := []struct {
		msg string
		ok  bool
	}{
		{`{"type":"message","channel":"c","offset":40,"time":1,"payload":"p","from":{"user":"u"}}`, true},
		{`{"type":"message","channel":"c","offset":40,"payload":"p"}`, true},
		{`{"type":"message","channel":"c","offset":40,"payload":{"a":1}}`, false},
		{`{"type":"message","channel":"c","offset":40,"payload":"p\""}`, false},
		{`{"type":"message","channel":"c","offset":,"payload":"p"}`, false},
		{`{"type":"message","channel":"c","offset":4,"payload":"p"`, false},
		{`{"type":"message","channel":"c","offset":4,"payload":"`, false},
		{`{"type":"message","channel":"c"}`, false},
		{`{"type":"reply","id":1}`, false},
		{``, false},
	}
	for _, tt := range tests {
		got, ok := scanPush([]byte(tt.msg))
		if ok != tt.ok {
			t.Errorf("%s: ok is %v", tt.msg, ok)
			continue
		}
		if !ok {
			continue
		}
		want, err := parseNotice([]byte(tt.msg))
		if err != nil || string(got.channel) != want.Channel || got.offset != want.Offset || string(got.payload) != string(want.Payload) {
			t.Errorf("%s: got %+v, JSON says %+v, %v", tt.msg, got, want, err)
		}
	}
}
