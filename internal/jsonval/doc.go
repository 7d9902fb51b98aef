// Package jsonval checks JSON without building values from it, and writes JSON strings.
//
// Payloads travel through Hocket byte for byte, so what is needed is not a decoder but certainty: that a text is
// exactly one JSON value (RFC 8259) in valid UTF-8, not nested without end, so that it can stand inside another
// message and change nothing around it. [Check] says whether it is, and if not, where and why. [Object] checks an
// object and hands out its fields as parts of the text; [String], [Uint] and [Bool] read small values from them.
//
//	o := jsonval.Fields(msg, 128)
//	for o.Next() {
//		switch string(o.Name()) {
//		case "type":
//			typ, ok = jsonval.String(o.Value())
//		case "payload":
//			payload = o.Value() // untouched
//		}
//	}
//	if err := o.Err(); err != nil { … } // nothing that was read may be used
//
// A text is valid here when encoding/json's Valid and utf8.Valid both say so, its depth is within the bound, and every
// reader takes it for the same, which is what one that checks relies on. Refused are therefore, though JSON: a name that
// stands twice in one object, also where it is written in two ways; the name __proto__, by which JavaScript may change what an
// object inherits; half of a surrogate pair, which only JavaScript takes for text; and names, numbers and objects beyond
// [MaxName], [MaxNumber] and [MaxFields]. [Error.Refused] tells these apart.
//
// What the package leaves out: numbers with fraction or exponent are checked but not read, and no names are matched
// whatever their case.
//
// Every function is pure and may be called from any goroutine; an [Object] belongs to one at a time.
package jsonval
