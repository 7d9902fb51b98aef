package wire_test

import (
	"fmt"

	"hocket.dev/wire"
)

func ExampleDecoder() {
	// The two fragments of a message with a ping between them, as a server sends them.
	b := []byte("\x01\x03Hel" + "\x89\x04beat" + "\x80\x02lo")

	d := wire.NewDecoder(wire.Client, &wire.Limits{MessageBytes: 1 << 20})
	var whole wire.Assembler
	for len(b) > 0 {
		ev, n, err := d.Next(b)
		if err != nil {
			fmt.Println(err)
			return
		}
		b = b[n:]
		if msg, done := whole.Add(ev); done {
			fmt.Printf("%s: %s\n", ev.Op, msg)
		}
		if ev.Kind == wire.KindPing {
			fmt.Printf("ping: %s\n", ev.Payload)
		}
	}
	// Output:
	// ping: beat
	// text: Hello
}

func ExampleAppendFrame() {
	fmt.Printf("% x\n", wire.AppendFrame(nil, wire.Text, []byte("Hello")))
	fmt.Printf("% x\n", wire.AppendClose(nil, wire.CloseGoingAway, "bye"))
	// Output:
	// 81 05 48 65 6c 6c 6f
	// 88 05 03 e9 62 79 65
}
