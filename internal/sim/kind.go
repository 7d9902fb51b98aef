package sim

import (
	"time"

	"hocket.dev"
	"hocket.dev/internal/rule"
)

// A kind is what is particular about a channel. The zero value is a stream that is kept.
type kind struct {
	keys      int           // percent of entries that have a key
	names     int           // how many keys there are
	state     bool          // it is followed from its state
	fleeting  int           // percent of entries with a time to live
	removed   bool          // the back end removes entries
	nothing   bool          // nothing is kept
	bytes     int64         // that are kept, 0 for no bound
	age       time.Duration // for which entries are kept, 0 for no bound
	forgets   time.Duration // how long deletes are remembered, 0 for long
	presence  bool
	scored    bool
	ephemeral int // percent of writes that end with their session
	grace     time.Duration
	overflow  rule.Overflow
	sample    time.Duration
	slow      bool // it is there for those who are slow: nobody else follows it
	keeps     int  // how many entries are kept, 0 for as many as the world keeps
}

// The channels. A stream, a keyed one and one with presence are in every world, of the others some.
const (
	stream   = "s:stream"
	keyed    = "k:keyed"
	crowd    = "p:crowd"
	nothing  = "n:nothing"
	strict   = "d:strict"
	fleeting = "t:fleeting"
	refilled = "f:refilled"
	latest   = "l:latest"
	sampled  = "q:sampled"
	board    = "b:board"
	sized    = "z:sized"
	aged     = "a:aged"
	fading   = "e:fading"
	dawdling = "g:dawdling"
	leaping  = "j:leaping"
	leaving  = "v:leaving"
	filling  = "i:filling"
	mixed    = "m:mixed"
	hasty    = "h:hasty"
	presence = "$presence:"
)

var (
	everywhere = []string{stream, keyed, crowd}
	slowly     = []string{dawdling, leaping, leaving, filling}
	elsewhere  = []string{nothing, strict, fleeting, refilled, latest, sampled, board, sized, aged, fading, mixed, hasty}
)

var kinds = map[string]kind{
	stream:   {},
	keyed:    {keys: 100, names: 5, state: true, fleeting: 10, removed: true},
	crowd:    {presence: true},
	nothing:  {nothing: true},
	strict:   {overflow: rule.OverflowDisconnect},
	fleeting: {fleeting: 50, removed: true},
	refilled: {removed: true, overflow: rule.OverflowRefill},
	latest:   {keys: 70, names: 40, fleeting: 5, removed: true, overflow: rule.OverflowLatest},
	sampled:  {keys: 80, names: 5, fleeting: 15, removed: true, sample: 250 * time.Millisecond},
	board:    {keys: 100, names: 8, state: true, fleeting: 15, removed: true, scored: true, ephemeral: 40, grace: 2 * time.Second, forgets: time.Second},
	sized:    {bytes: 3000},
	aged:     {age: 1500 * time.Millisecond},
	mixed:    {keys: 60, names: 4, state: true, fleeting: 10, removed: true},
	hasty:    {keys: 70, names: 12, sample: 250 * time.Millisecond, overflow: rule.OverflowLatest},
	fading:   {keys: 100, names: 6, state: true, fleeting: 10, age: 2 * time.Second},
	dawdling: {slow: true, keeps: 1000, removed: true},
	leaping:  {slow: true, keeps: 1000, keys: 50, names: 3, overflow: rule.OverflowLatest},
	leaving:  {slow: true, keeps: 1000, overflow: rule.OverflowDisconnect},
	filling:  {slow: true, keeps: 1000, removed: true, overflow: rule.OverflowRefill},
}

// rules are those of all channels, of which each keeps so many entries.
func rules(keep hocket.History) (rules []hocket.Rule) {
	for _, name := range sorted(kinds) {
		k := kinds[name]
		r := hocket.Rule{Pattern: name, History: keep, Presence: k.presence, Overflow: k.overflow, Sample: k.sample, PresenceGrace: k.grace}
		r.History.Bytes, r.History.Age, r.History.Deletes = k.bytes, k.age, k.forgets
		if k.keeps > 0 {
			r.History.Count = k.keeps
		}
		if k.nothing {
			r.History.Count = 0
		}
		rules = append(rules, r)
	}
	return rules
}
