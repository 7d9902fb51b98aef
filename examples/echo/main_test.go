package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"hocket.dev/internal/testproc"
	"hocket.dev/websocket"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// build builds the example as its reader would.
func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "echo.exe")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

func TestServers(t *testing.T) {
	binary := build(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, flags := range [][]string{
		{"-compression", "off"}, {"-compression", "takeover"}, {"-loops", "-compression", "on"}, {"-loops", "-portable"},
	} {
		t.Run(strings.Join(flags, " "), func(t *testing.T) {
			address := fmt.Sprintf("127.0.0.1:%d", testproc.FreePort(t))
			testproc.Start(t, binary, append(flags, "-listen", address)...)
			var c *websocket.Conn
			testproc.Until(t, "the program to listen", func() bool {
				var err error
				c, _, err = websocket.Dial(ctx, "ws://"+address, &websocket.DialOptions{
					Compression: websocket.Compression{Mode: websocket.CompressionOn},
				})
				return err == nil
			})
			defer c.CloseNow()
			c.SetReadLimit(0)
			for _, size := range []int{0, 1000, 16 << 20} {
				want := strings.Repeat("x", size)
				if err := c.Write(ctx, websocket.Text, []byte(want)); err != nil {
					t.Fatal(err)
				}
				if _, got, err := c.Read(ctx); err != nil || string(got) != want {
					t.Fatalf("%d bytes came back as %d, %v", size, len(got), err)
				}
			}
			if err := c.Close(websocket.CloseNormal, ""); err != nil {
				t.Error(err)
			}
		})
	}
}

// fuzzer is a fuzzing server with two cases, as far as a client sees it.
type fuzzer struct {
	t       *testing.T
	serving sync.WaitGroup
	mu      sync.Mutex
	// asked are the requests, and what came of them.
	asked []string
}

func (f *fuzzer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.serving.Add(1)
	defer f.serving.Done()
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer c.CloseNow()
	note := r.URL.RequestURI()
	switch r.URL.Path {
	case "/getCaseCount":
		err = c.Write(r.Context(), websocket.Text, []byte("2"))
	case "/runCase":
		err = c.Write(r.Context(), websocket.Text, []byte("hello"))
		if err == nil {
			_, msg, readErr := c.Read(r.Context())
			note, err = note+" "+string(msg), readErr
		}
	}
	if err == nil {
		err = c.Close(websocket.CloseNormal, "")
	}
	if err != nil {
		f.t.Errorf("%s: %v", note, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, note)
}

func TestSuite(t *testing.T) {
	f := &fuzzer{t: t}
	server := httptest.NewServer(f)
	defer server.Close()
	out, err := exec.Command(build(t), "-agent", "a b", "-suite", "ws"+strings.TrimPrefix(server.URL, "http")).CombinedOutput()
	if err != nil || string(out) != "2 cases done, see the reports\n" {
		t.Errorf("%v: %s", err, out)
	}
	f.serving.Wait() // every request has come, or the program would not have ended
	f.mu.Lock()
	defer f.mu.Unlock()
	want := []string{"/getCaseCount", "/runCase?case=1&agent=a+b hello", "/runCase?case=2&agent=a+b hello", "/updateReports?agent=a+b"}
	if slices.Sort(f.asked); !slices.Equal(f.asked, want) {
		t.Errorf("asked %q, want %q", f.asked, want)
	}
}
