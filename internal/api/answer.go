package api

import (
	"net/http"
	"strconv"
	"time"

	"hocket.dev/dialect"
	"hocket.dev/internal/jsonval"
)

// fail answers with an error, and the HTTP status that the catalogue has for it.
func fail(w http.ResponseWriter, err *dialect.Error) (status int) {
	if status = err.Code.Info().HTTP; status == 0 {
		status = http.StatusInternalServerError
	}
	switch err.Code { // RFC 6750 §3
	case dialect.Unauthenticated:
		w.Header().Set("WWW-Authenticate", `Bearer realm="hocket"`)
	case dialect.MissingScope:
		w.Header().Set("WWW-Authenticate", `Bearer realm="hocket", error="insufficient_scope"`)
	}
	if err.RetryAfter > 0 {
		seconds := (err.RetryAfter + time.Second - 1) / time.Second
		w.Header().Set("Retry-After", strconv.Itoa(int(seconds)))
	}
	return write(w, status, appendFailure(nil, err))
}

func write(w http.ResponseWriter, status int, body []byte) int {
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // who has gone does not read it
	return status
}

// appendFailure appends the object that says what went wrong.
func appendFailure(dst []byte, err *dialect.Error) []byte {
	return append(appendError(append(dst, '{'), err), '}')
}

// appendError appends the field "error".
func appendError(dst []byte, err *dialect.Error) []byte {
	dst = strconv.AppendInt(append(dst, `"error":{"code":`...), int64(err.Code), 10)
	dst = jsonval.AppendString(append(dst, `,"name":`...), err.Name)
	dst = jsonval.AppendString(append(dst, `,"message":`...), err.Message)
	if err.RetryAfter > 0 {
		wait := (err.RetryAfter + time.Millisecond - 1).Milliseconds()
		dst = strconv.AppendInt(append(dst, `,"retry_after_ms":`...), wait, 10)
	}
	if p := err.Position; p != nil {
		dst = jsonval.AppendString(append(dst, `,"epoch":`...), p.Epoch)
		dst = strconv.AppendUint(append(dst, `,"offset":`...), p.Offset, 10)
	}
	return append(dst, '}')
}
