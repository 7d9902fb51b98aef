package rule

import "strings"

const userSegment = "{user}"

// A Pattern matches channel names. Patterns are comparable; the zero value matches nothing.
type Pattern struct{ text string }

// ParsePattern checks a pattern: a channel name whose segments may be "*" (any one segment), "{user}" (the user's id,
// see MatchUser), and, at the end, ">" (the rest, at least one segment). The error is a *NameError.
func ParsePattern(s string) (Pattern, error) {
	if err := checkText(s); err != nil {
		return Pattern{}, err
	}
	for at, rest, more := 0, s, true; more; {
		var segment string
		segment, rest, more = strings.Cut(rest, ":")
		switch segment {
		case "*", userSegment:
		case ">":
			if more {
				return Pattern{}, &NameError{Rest, at, s}
			}
		default:
			if i := strings.IndexAny(segment, "*>"); i >= 0 {
				return Pattern{}, &NameError{PartialWildcard, at + i, s}
			}
			if i := strings.Index(segment, userSegment); i >= 0 {
				return Pattern{}, &NameError{PartialUser, at + i, s}
			}
		}
		at += len(segment) + 1
	}
	return Pattern{s}, nil
}

// String returns the pattern as written.
func (p Pattern) String() string { return p.text }

// HasUser tells whether the pattern holds "{user}".
func (p Pattern) HasUser() bool { return strings.Contains(p.text, userSegment) }

// Match tells whether the pattern matches a channel, which CheckChannel has let pass, for an anonymous user:
// "{user}" matches nothing. A channel that begins with "$" is only matched by a pattern that does so too.
func (p Pattern) Match(channel string) bool { return p.MatchUser(channel, "") }

// MatchUser is Match for a user: "{user}" matches the segment that is the user's id, byte for byte. Whatever the id
// holds, it is never taken as a pattern, nor as more than one segment.
func (p Pattern) MatchUser(channel, user string) bool {
	if channel == "" || IsReserved(channel) && !IsReserved(p.text) {
		return false
	}
	for pattern := p.text; ; {
		want, wantRest, wantMore := strings.Cut(pattern, ":")
		if want == ">" {
			return true // what is left of the channel has at least one segment
		}
		got, gotRest, gotMore := strings.Cut(channel, ":")
		switch want {
		case "*":
		case userSegment:
			if user == "" || got != user {
				return false
			}
		default:
			if got != want {
				return false
			}
		}
		if !wantMore || !gotMore {
			return wantMore == gotMore
		}
		pattern, channel = wantRest, gotRest
	}
}
