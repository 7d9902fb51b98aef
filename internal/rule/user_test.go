package rule

import (
	"strings"
	"testing"
)

func TestUsersAreOneLiteralSegment(t *testing.T) {
	for _, user := range []string{"", "ada", "größe", "{user}", "$sys", "a b", "auth0|5f7c", "user@example.com", strings.Repeat("x", MaxUser)} {
		if err := CheckUser(user); err != nil {
			t.Errorf("%q is refused: %v", user, err)
		}
	}
	for _, user := range []string{"a:b", "*", "a>", "a\n", "\x00", "\x7f", "\u0085", "\xff", "\uFFFD", strings.Repeat("x", MaxUser+1)} {
		err := CheckUser(user)
		if err == nil {
			t.Errorf("%q is accepted", user)
		} else if strings.Contains(err.Error(), user) && len(user) > 1 {
			t.Errorf("%q is repeated in %q", user, err)
		}
	}
	if err := CheckUser("__proto__"); err == nil || CheckUser("__proto__1") != nil {
		t.Errorf("__proto__ as a whole: %v", err)
	}
}
