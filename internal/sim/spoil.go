package sim

import (
	"encoding/json"
	"slices"
)

// spoil puts a command that makes no sense among others, perhaps.
func (o *office) spoil(commands []json.RawMessage) []json.RawMessage {
	if o.spoilt = 0; o.dice.chance(70) {
		return commands
	}
	at := o.dice.n(len(commands) + 1)
	o.spoilt = at + 1
	wrong := pick(&o.dice, []string{`{"method":"publish","channel":"no such name"}`, `{"method":"guess"}`, `{"method":"publish","channel":"s:stream"}`})
	return slices.Insert(slices.Clone(commands), at, json.RawMessage(wrong))
}

// sound are the results of the commands that make sense: each is carried out as if it had come alone.
func (o *office) sound(method string, results []result) []result {
	at := o.spoilt - 1
	if method != "batch" || at < 0 || at >= len(results) {
		return results
	}
	if wrong := &results[at]; wrong.Error == nil || wrong.Error.passing() || wrong.Result != nil {
		o.w.fault("", "office", o.w.now(), "of a batch, command %d makes no sense, and is answered with %+v", at, wrong)
	}
	return slices.Delete(results, at, at+1)
}
