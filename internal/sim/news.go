package sim

import (
	"slices"

	"hocket.dev/broker"
)

// A watch is what one subscription was told of who comes and goes.
type watch struct {
	who, session string
	from         position    // what comes after it is told
	lacks        bool        // it was to go on in a log that is lost
	news         []*incoming // and gaps
}

// watchFrom notes that a client is told of who comes and goes from now on. The lock is held, as below.
func (a *actor) watchFrom(p *place, at position) {
	lacks := p.resumes != nil && p.resumes.Epoch != at.Epoch
	if p.resumes != nil {
		at = *p.resumes
	}
	p.watch = &watch{who: a.name, session: a.session, from: at, lacks: lacks}
	watch := p.watch
	a.w.set(func() { a.w.watches = append(a.w.watches, watch) })
}

// newsOf is what an entry of a log of presence says, "" for nothing.
func newsOf(f *fact) string {
	switch {
	case f.Op == broker.Delete:
		return "leave"
	case f.Headers["silent"] != "":
		return ""
	case f.Headers["update"] != "":
		return "update"
	}
	return "join"
}

// tells are the entries after an offset, up to another, that say something to a session: of itself it is told nothing.
func (e *epoch) tells(session string, from, to uint64) []*fact {
	return slices.DeleteFunc(slices.Clone(e.between(from, to)), func(f *fact) bool {
		return newsOf(f) == "" || f.From.Session == session
	})
}

// checkWatch checks that a client was told who comes and goes, each once, in the log's order, and as it is. lives says that it
// follows the channel in the end.
func (w *world) checkWatch(t *watch, lives bool) {
	e, at, free := w.truth.find(presence+crowd, t.from.Epoch), t.from.Offset, false
	if t.lacks && (lives || len(t.news) > 0) && (len(t.news) == 0 || t.news[0].Type != "gap") {
		w.fault(crowd, t.who, w.now(), "it was to go on after %v, which is lost, and was not told so", t.from)
	}
	for _, in := range t.news {
		if in.Type == "gap" {
			free = true
			continue
		}
		if e == nil || in.Epoch != e.name {
			if e, at, free = w.truth.find(presence+crowd, in.Epoch), 0, true; e == nil {
				w.fault(crowd, t.who, in.handed, "%s of an epoch that never was: %q", in.Type, in.Epoch)
				return
			}
		}
		due := e.tells(t.session, at, in.Offset)
		if free { // where it begins is not known
			due = due[max(0, len(due)-len(in.Members)):]
		}
		if e.at(in.Offset) == nil || !slices.EqualFunc(due, in.Members, func(f *fact, m member) bool { return in.says(f, m) }) {
			w.fault(crowd, t.who, in.handed, "%s at %d of %v, after %d, where the log has %v", in.Type, in.Offset, in.Members, at, due)
			return
		}
		at, free = in.Offset, false
	}
	if !lives || free || e == nil || e != w.truth.current(presence+crowd) {
		return
	}
	if due := e.tells(t.session, at, e.head()); len(due) > 0 {
		w.fault(crowd, t.who, w.now(), "it was never told of the %s of %s at %d", newsOf(due[0]), due[0].Key, due[0].Offset)
	}
}

// says that what is told of a member is what an entry says.
func (in *incoming) says(f *fact, m member) bool {
	return newsOf(f) == in.Type && m.Session == f.Key && m.User == f.From.User && (in.Type == "leave" || tells(string(m.Info)) == f.value)
}
