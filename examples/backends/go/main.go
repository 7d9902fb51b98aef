// Command go is a back end of Hocket in Go: it gives out tickets and tokens, publishes, and answers hooks.
// README.md in the folder above says how to run it.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
	"time"

	"hocket.dev"
)

const maxBody = 1 << 20 // bytes

var capabilities = map[string][]string{"chat:*": {"subscribe", "publish"}}

func main() {
	http.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, "../page.html") })
	http.HandleFunc("GET /ticket", ticket)
	http.HandleFunc("GET /token", token)
	http.HandleFunc("POST /say", say)
	http.HandleFunc("POST /hook", hook)
	web := &http.Server{Addr: "127.0.0.1:" + os.Getenv("PORT"), ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(web.ListenAndServe())
}

// visitor is where your login goes: this example believes what it is told.
func visitor(r *http.Request) string { return r.FormValue("user") }

func ticket(w http.ResponseWriter, r *http.Request) {
	var made struct{ Ticket string }
	if err := api(r, "tickets", map[string]any{"user": visitor(r), "capabilities": capabilities}, &made); err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	io.WriteString(w, made.Ticket)
}

func token(w http.ResponseWriter, r *http.Request) {
	signer, err := hocket.NewTokenSigner([]byte(os.Getenv("HOCKET_TOKEN_SECRET")), "")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	expires := time.Now().Add(time.Hour)
	text, err := signer.Sign(hocket.TokenClaims{User: visitor(r), Capabilities: capabilities, Expires: expires})
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	hocket.SetSessionCookie(w, text, expires)
	io.WriteString(w, text)
}

func say(w http.ResponseWriter, r *http.Request) {
	var said struct{ Text string }
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&said); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	payload := map[string]string{"from": visitor(r), "text": said.Text}
	if err := api(r, "publish", map[string]any{"channel": "chat:lobby", "payload": payload}, nil); err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func hook(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil || hocket.VerifyHook(r, body, []byte(os.Getenv("HOCKET_HOOK_SECRET")), time.Now()) != nil {
		http.Error(w, "not signed by Hocket", http.StatusUnauthorized)
		return
	}
	var asked struct {
		Hook, User, Channel string
		Payload             struct{ Text string }
	}
	if err := json.Unmarshal(body, &asked); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer := map[string]any{"allow": true}
	switch {
	case asked.Hook == "subscribe" && asked.Channel == "chat:staff":
		answer = map[string]any{"deny": map[string]any{"code": 10001, "name": "staff_only", "message": "this room is for the staff"}}
	case asked.Hook == "publish":
		answer["payload"] = map[string]string{"from": asked.User, "text": strings.ReplaceAll(asked.Payload.Text, "darn", "d**n")}
	}
	json.NewEncoder(w).Encode(answer)
}

// api calls a method of Hocket and decodes its result.
func api(r *http.Request, method string, params, result any) error {
	body, err := json.Marshal(params)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(r.Context(), "POST", os.Getenv("HOCKET_URL")+"/api/v1/"+method, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+os.Getenv("HOCKET_API_KEY"))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("hocket: %s: %s", method, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(&struct{ Result any }{result})
}
