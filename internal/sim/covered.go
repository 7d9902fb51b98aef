package sim

// covered says that a value ends with the session that wrote it last: it was published so, or something before it was by that very
// session, with nothing of others since.
func (w *world) covered(f *fact) bool {
	for g := f; g.holds() && g.From != nil; g = g.last {
		writer, once := w.writers[textOf(g)]
		switch {
		case g.copied || g.From.Session != f.From.Session || g != f && (!once || writer == nil || writer != w.writers[textOf(f)]):
			return false
		case w.ephemeral[textOf(g)]:
			return true
		}
	}
	return false
}
