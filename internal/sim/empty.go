package sim

import (
	"net/http"
	"net/http/httptest"
	"strings"
)

// checkEmpty sees that the node has nothing left when all clients are gone.
func (w *world) checkEmpty() {
	answer := httptest.NewRecorder()
	w.house.srv.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, name := range []string{"hocket_sessions", "hocket_cursors", "hocket_channels", "hocket_window_bytes", "hocket_frame_bytes"} {
		if !strings.Contains(answer.Body.String(), "\n"+name+" 0\n") {
			w.fault("", "node", w.now(), "when all have gone, %s is not 0:\n%s", name, line(answer.Body.String(), name))
		}
	}
}

// line is the line of a text that begins with a word.
func line(text, word string) string {
	for l := range strings.Lines(text) {
		if strings.HasPrefix(l, word) {
			return l
		}
	}
	return "there is no line of it"
}
