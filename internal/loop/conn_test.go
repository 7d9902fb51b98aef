package loop

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"
	"unsafe"
)

func TestConnIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(Conn{}); size > 56 {
		t.Errorf("a Conn takes %d bytes, more than 56", size)
	}
}

func TestEcho(t *testing.T) {
	eachDriver(t, func(t *testing.T, b *bench) {
		e := newEcho()
		client := b.attach(t, &e.owner)
		sent := make([]byte, 1<<20)
		rand.NewChaCha8([32]byte{1}).Read(sent)
		go client.Write(sent)
		got := make([]byte, len(sent))
		if _, err := io.ReadFull(client, got); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, sent) {
			t.Error("the echo differs from what was sent")
		}
		client.Close()
		if err := <-e.closed; err != io.EOF {
			t.Errorf("closed with %v, want %v", err, io.EOF)
		}
	})
}
