package config

import (
	"fmt"
	"time"

	"hocket.dev"
	"hocket.dev/internal/hook"
	"hocket.dev/internal/rule"
)

// Hooks say where the back end is asked.
type Hooks struct {
	Authenticate AuthenticateHook `name:"authenticate" doc:"Asks who a client is that shows a token or cookies."`
	Subscribe    Hook             `name:"subscribe" doc:"Asks before a client subscribes, in channels whose rules have subscribe in ask."`
	Publish      Hook             `name:"publish" doc:"Asks before a client publishes, in channels whose rules have publish in ask."`

	Secrets        []string      `name:"secrets" secret:"true" doc:"Sign the questions, so that the back end knows who asks: one, or two while one takes the place of the other, of at least 16 bytes. They can be given in the environment instead, as HOCKET_HOOK_SECRET, separated by a comma."`
	Timeout        time.Duration `name:"timeout" default:"3s" min:"1ms" doc:"How long an answer may take, whole."`
	Concurrency    int           `name:"concurrency" default:"128" min:"1" doc:"Questions of one kind under way at once. Beyond it clients are told busy."`
	AllowAddresses []string      `name:"allow_addresses" doc:"Networks, such as \"10.0.0.0/8\" or \"127.0.0.1\", that may be asked although they are not of the public internet, and without TLS."`
	ForwardHeaders []string      `name:"forward_headers" doc:"Headers of handshakes, such as \"User-Agent\", that the authenticate hook is told."`
}

// An AuthenticateHook is where the back end is asked who a client is.
type AuthenticateHook struct {
	URL string `name:"url" secret:"true" doc:"Where to ask. Left out, nobody is."`
}

// A Hook is where the back end is asked whether something is allowed.
type Hook struct {
	URL      string        `name:"url" secret:"true" doc:"Where to ask. Left out, nobody is."`
	WhenDown hook.WhenDown `name:"when_down" default:"deny" doc:"What holds while the back end does not answer: \"deny\" tells clients to try again later, \"allow\" allows, unasked, what is permitted."`
}

func (h *Hooks) hocket() hocket.Hooks {
	return hocket.Hooks{
		Authenticate: hocket.Hook{URL: h.Authenticate.URL},
		Subscribe:    hocket.Hook{URL: h.Subscribe.URL, WhenDown: h.Subscribe.WhenDown},
		Publish:      hocket.Hook{URL: h.Publish.URL, WhenDown: h.Publish.WhenDown},
		Secrets:      h.Secrets, Timeout: h.Timeout, Concurrent: h.Concurrency,
		AllowAddresses: h.AllowAddresses, ForwardHeaders: h.ForwardHeaders,
	}
}

// checkHooks looks at what does not depend on secrets of the environment.
func (f *File) checkHooks() error {
	h := &f.Hooks
	for i := range h.AllowAddresses {
		if _, err := hook.ParseNetworks(h.AllowAddresses[i : i+1]); err != nil {
			return f.fail(fmt.Sprintf("hooks.allow_addresses[%d]", i), "%w", err)
		}
	}
	listed, err := hook.ParseNetworks(h.AllowAddresses)
	if err != nil {
		return f.fail("hooks.allow_addresses", "%w", err)
	}
	for _, one := range []struct{ name, url string }{
		{"authenticate", h.Authenticate.URL}, {"subscribe", h.Subscribe.URL}, {"publish", h.Publish.URL},
	} {
		if err := hook.CheckURL(one.url, listed); one.url != "" && err != nil {
			return f.fail("hooks."+one.name+".url", "%w", err)
		}
	}
	if n := len(h.Secrets); n > hook.MaxSecrets {
		return f.fail("hooks.secrets", "are %d: give one, or two while one takes the place of the other", n)
	}
	for i, secret := range h.Secrets {
		if n := len(secret); n < hook.MinSecret {
			return f.fail(fmt.Sprintf("hooks.secrets[%d]", i), "is too short to be a secret: it has %d bytes and needs %d", n, hook.MinSecret)
		}
	}
	if err := hook.CheckForward(h.ForwardHeaders); err != nil {
		return f.fail("hooks.forward_headers", "%w", err)
	}
	if err := f.checkAsked(rule.CanSubscribe, "subscribe", h.Subscribe.URL); err != nil {
		return err
	}
	return f.checkAsked(rule.CanPublish, "publish", h.Publish.URL)
}

// checkAsked wants a hook where rules ask, and rules that ask where there is a hook.
func (f *File) checkAsked(verb rule.Verbs, name, url string) error {
	asks := all(f.Fallback.Ask).Has(verb)
	path := "fallback.ask"
	for i := range f.Channels {
		if all(f.Channels[i].Ask).Has(verb) && !asks {
			asks, path = true, fmt.Sprintf("channels[%d].ask", i)
		}
	}
	switch {
	case asks && url == "":
		return f.fail(path, "asks the back end about %s, but hooks.%s has no url", name, name)
	case !asks && url != "":
		return f.fail("hooks."+name+".url", "would never be asked: no channel's rule has ask: [%s]", name)
	}
	return nil
}
