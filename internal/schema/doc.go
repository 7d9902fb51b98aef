// Package schema holds payloads to a JSON Schema and says where one does not fit.
//
//	s, err := schema.Compile(`{"type":"object","required":["text"]}`)
//	...
//	var m *schema.Mismatch
//	if err := s.Check(payload, schema.Steps(len(payload))); errors.As(err, &m) {
//		// m.Pointer is "", m.Problem "lacks the field "text""
//	}
//
// The draft is 2020-12 where a schema does not name another one by $schema; formats are checked, too. A schema refers only
// to itself: nothing is read from files or the network. The work is github.com/santhosh-tekuri/jsonschema's; what is added
// is that a check ends. Alternatives that nest can be tried in more ways than there is time for, so a check has a number
// of steps and gives up with [ErrSteps] beyond it; and a number such as 1e999999999 is refused before anybody writes it out.
//
// What the package leaves out: whether a text is JSON that everybody reads alike, which is for internal/jsonval to say
// before.
//
// The package only computes. A Schema may be used from any goroutine.
package schema
