package jsonval

import (
	"fmt"
	"strings"
	"testing"
)

// Payloads as they are published: a line of chat, a quote, what a page knows of a player, points of a drawing, a table.
var benchPayloads = []struct{ name, text string }{
	{"chat", `{"text":"Shall we meet at the harbour at eight? I bring the maps.","lang":"en","reply_to":null}`},
	{"quote", `{"symbol":"BTC-USD","bid":64012.25,"ask":64013.5,"volume":1893.0021,"time":1795000000123,"venue":"hkt","seq":9918273}`},
	{"player", `{"id":"p-81723","position":{"x":103.25,"y":-4.5,"z":17},"velocity":{"x":0.5,"y":0,"z":-1.25},"health":87,"items":["rope","lantern","map"],` +
		`"state":{"name":"climbing","since":1795000000123,"target":{"kind":"ledge","id":81}},"flags":[true,false,true],"team":"north","score":1250}`},
	{"points", `{"stroke":"s-12","points":[` + strings.Repeat(`{"x":103,"y":401,"p":0.5},`, 39) + `{"x":103,"y":401,"p":0.5}]}`},
	{"table", func() string {
		var b strings.Builder
		b.WriteString(`{"kind":"table"`)
		for i := range 60 {
			fmt.Fprintf(&b, `,"column_%02d":"value %d"`, i, i)
		}
		return b.String() + "}"
	}()},
}

func BenchmarkCheck(b *testing.B) {
	for _, p := range benchPayloads {
		b.Run(p.name, func(b *testing.B) {
			text := []byte(p.text)
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if err := Check(text, 128); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkFields(b *testing.B) {
	text := []byte(`{"type":"publish","id":2,"channel":"chat:lobby","payload":` + benchPayloads[0].text + `,"seq":12}`)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		o := Fields(text, 128)
		for o.Next() {
		}
		if o.Err() != nil {
			b.Fatal(o.Err())
		}
	}
}
