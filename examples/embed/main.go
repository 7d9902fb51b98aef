// Command embed is a program with a real-time server inside: it serves its own pages and Hocket's paths on one port,
// answers calls of "greet", and publishes the time.
//
//	go run ./examples/embed localhost:8000
//	go run ./cmd/hocket sub clock
//	go run ./cmd/hocket call greet '"Ada"'
package main

import (
	"context"
	"encoding/json"
	"log"
	"net/http"
	"os"
	"time"

	"hocket.dev"
)

func main() {
	rt, err := hocket.New(hocket.Config{Anonymous: true})
	if err != nil {
		log.Fatal(err)
	}
	rt.Handle("greet", func(_ context.Context, c hocket.Call) (any, error) {
		var name string
		err := json.Unmarshal(c.Payload, &name)
		return "hello " + name, err
	})
	go func() {
		for now := range time.Tick(time.Second) {
			rt.Publish(context.Background(), "clock", now.Format(time.TimeOnly))
		}
	}()
	http.Handle("/v1/", rt)
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("my own page\n")) })
	address := "localhost:8000"
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	web := &http.Server{Addr: address, ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(web.ListenAndServe())
}
