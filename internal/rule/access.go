package rule

import "fmt"

// Access is what decides about one client.
type Access struct {
	Open   bool          // everybody may do everything that no rule forbids
	Proven bool          // the client has proved who it is
	Own    *Capabilities // its own, nil for none
	Given  *Capabilities // those that it was given when the back end was asked, proof or not; nil for none
	Barred *Capabilities // what was taken back from it, nil for nothing
	Calls  *Capabilities // what every client that is proven may call
}

// May tells whether the client may do verb, which is one, in a channel with rule r. Of publishing it tells about entries of
// any key; see MayPublish.
func (a Access) May(verb Verbs, channel string, r *Rule) bool {
	switch {
	case a.Barred.Allow(verb, channel), verb == CanPublish && r.Publish != Clients:
		return false
	case a.Open, r.AllowAnonymous.Has(verb):
		return true
	}
	return a.Proven && (r.Allow.Has(verb) || a.Own.Allow(verb, channel)) || a.Given.Allow(verb, channel)
}

// MayPublish tells whether the client may publish to a key of a channel with rule r; "" is an entry without key.
func (a Access) MayPublish(channel, key string, r *Rule) bool {
	if a.May(CanPublish, channel, r) {
		return true
	}
	if key == "" || r.Publish != Clients || a.Barred.Allow(CanPublish, channel) {
		return false
	}
	return a.Proven && a.Own.AllowKey(channel, key) || a.Given.AllowKey(channel, key)
}

// MayCall tells whether the client may call a method.
func (a Access) MayCall(method string) bool {
	if a.Barred.Allow(CanCall, method) {
		return false
	}
	return a.Open || a.Proven && (a.Calls.Allow(CanCall, method) || a.Own.Allow(CanCall, method)) || a.Given.Allow(CanCall, method)
}

// Explain tells whether the client may do verb, which is one, with name: a channel or, with CanCall, a method. key is that of a publish, "" for
// none. Unlike May it knows that where a rule keeps no presence there is none to be had. why is the reason, to go on from "because".
func (a Access) Explain(verb Verbs, name, key string, set *Set) (ok bool, why string) {
	r := set.For(name)
	if verb == CanCall {
		ok, r = a.MayCall(name), &Rule{} // methods have no rules
	} else if verb == CanPublish {
		ok = a.MayPublish(name, key, r)
	} else {
		ok = a.May(verb, name, r)
	}
	none := ok && verb == CanPresence && !r.Presence // there is nothing to be seen by who may
	barred, isBarred := a.Barred.Reason(verb, name, "")
	called, isCalled := a.Calls.Reason(verb, name, "")
	own, isOwn := a.Own.Reason(verb, name, key)
	given, isGiven := a.Given.Reason(verb, name, key)
	switch {
	case isBarred:
		why = fmt.Sprintf("%q was revoked", barred)
	case verb == CanPublish && r.Publish != Clients:
		why = fmt.Sprintf("%s lets only the server publish", r.title())
	case none:
		why = fmt.Sprintf("%s keeps none", r.title())
	case a.Open:
		why = "access is open to everybody (anonymous: true)"
	case r.AllowAnonymous.Has(verb):
		why = fmt.Sprintf("%s allows it to everybody", r.title())
	case isGiven:
		why = fmt.Sprintf("the back end has given it %q", given)
	case !a.Proven:
		why = fmt.Sprintf("without proof of identity only what rules allow to everybody is, and %s does not allow it", r.title())
	case r.Allow.Has(verb):
		why = fmt.Sprintf("%s allows it to everybody who has proved who they are", r.title())
	case verb == CanCall && isCalled:
		why = fmt.Sprintf("%q may be called by everybody who has proved who they are", called)
	case isOwn:
		why = fmt.Sprintf("the capability %q allows it", own)
	case verb == CanCall:
		why = "no capability allows it, nor does allow_calls"
	default:
		why = fmt.Sprintf("no capability allows it, nor does %s", r.title())
	}
	return ok && !none, why
}

// title names a rule in a sentence.
func (r *Rule) title() string {
	if r.Pattern == "" {
		return "the fallback rule"
	}
	return fmt.Sprintf("the rule %q", r.Pattern)
}
