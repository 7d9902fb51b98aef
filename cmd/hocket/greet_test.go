package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

// What an operator has to know stands in the log, and nothing that is not so.
func TestWhatTheStartTells(t *testing.T) {
	const tickets, files = "admitted with tickets of the API alone", "more than open files have room for"
	for text, want := range map[string]struct{ tickets, files bool }{
		"": {true, false},
		"channels: [{pattern: a, allow: [subscribe]}]":                 {true, false},
		"channels: [{pattern: a, allow_anonymous: [subscribe]}]":       {false, false},
		"fallback: {allow_anonymous: [subscribe]}":                     {false, false},
		"tls: {cert: c, key: k, client_ca: c, client_user: san_dns}":   {false, false},
		"tls: {cert: c, key: k, client_ca: c}":                         {true, false},
		"tokens: {keys: [{secret: 0123456789abcdef0123456789abcdef}]}": {false, false},
		"limits: {sessions: 2000000000}":                               {true, true},
	} {
		set, err := (&serveCmd{Config: write(t, text)}).settings()
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		announce(slog.New(slog.NewTextHandler(&log, nil)), set)
		if have := log.String(); strings.Contains(have, tickets) != want.tickets || strings.Contains(have, files) != want.files {
			t.Errorf("%q: want %+v, have\n%s", text, want, have)
		}
	}
}
