package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"hocket.dev/client"
	"hocket.dev/internal/testproc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The example is built and run as its reader would.
func TestExample(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "embed.exe")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", testproc.FreePort(t))
	testproc.Start(t, binary, addr)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var c *client.Client
	testproc.Until(t, "the program to listen", func() (ok bool) {
		var err error
		c, err = client.Dial(ctx, "ws://"+addr+"/v1/ws", nil)
		return err == nil
	})
	defer c.Close()

	var greeting string
	if err := c.Call(ctx, "greet", "Ada", &greeting); err != nil || greeting != "hello Ada" {
		t.Errorf("%q, %v", greeting, err)
	}
	sub, err := c.Subscribe(ctx, "clock", nil)
	if err != nil {
		t.Fatal(err)
	}
	if m, err := sub.Next(ctx); err != nil || len(m.Payload) != len(`"15:04:05"`) {
		t.Errorf("%s, %v", m.Payload, err)
	}
	response, err := http.Get("http://" + addr + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if b, _ := io.ReadAll(response.Body); string(b) != "my own page\n" {
		t.Errorf("%s", b)
	}
}
