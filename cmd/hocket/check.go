package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"hocket.dev"
	"hocket.dev/internal/config"
)

// errDenied ends a check with the exit code of what went wrong, without a word: its line has been printed.
var errDenied = errors.New("denied")

// checkCmd answers questions about a configuration.
type checkCmd struct {
	Access checkAccessCmd `cmd:"" help:"Explain what a client may do, in one line."`
}

// checkAccessCmd explains what a client may do.
type checkAccessCmd struct {
	Config string `placeholder:"FILE" help:"The server's configuration; what holds without one if it is left out."`
	Token  string `placeholder:"TOKEN" help:"The token that the client shows; - reads it from standard input. Without one the client proves nothing."`
	Do     string `placeholder:"VERB" enum:",subscribe,publish,history,presence,call" default:"" help:"What it wants to do: subscribe, publish, history, presence or call. All but call if it is left out."`
	Key    string `placeholder:"KEY" help:"With --do publish: the key of the entry."`
	Name   string `arg:"" placeholder:"CHANNEL" help:"The channel or, with --do call, the method."`
}

// Help is the second part of `hocket check access --help`.
func (checkAccessCmd) Help() string {
	return `It looks at the configuration and the token alone: no server has to run, revocations are not known, and hooks are not asked: the line says where one decides. With --do the exit code is 0 where it is allowed and 1 where it is not.

Examples:
  hocket check access --config hocket.yaml --token "$TOKEN" chat:lobby
  hocket check access --config hocket.yaml --token "$TOKEN" --do publish --key cursor:ada board:7
  hocket check access --config hocket.yaml news`
}

// Run prints the answer.
func (c *checkAccessCmd) Run(ctx context.Context, std streams) error {
	file := config.Default()
	if c.Config != "" {
		if err := config.Read(c.Config, &file); err != nil {
			return &usageError{err}
		}
	}
	cfg := file.Hocket()
	if len(cfg.Hooks.Secrets) == 0 {
		cfg.Hooks.Secrets = []string{"in the environment of the server"} // nothing is signed here
	}
	var err error
	if cfg.Tokens, err = file.Tokens.Hocket(); err != nil {
		return &usageError{err}
	}
	if c.Token == "-" {
		text, err := io.ReadAll(io.LimitReader(std.in, 64<<10))
		if err != nil {
			return &usageError{err}
		}
		c.Token = strings.TrimSpace(string(text))
	}
	if c.Do == "" {
		return c.all(ctx, std, cfg)
	}
	a, err := cfg.ExplainAccess(ctx, hocket.AccessQuestion{Token: c.Token, Verb: c.Do, Name: c.Name, Key: c.Key})
	if err != nil {
		return &usageError{err}
	}
	word := "denied"
	if a.Allowed {
		word = "allowed"
	}
	fmt.Fprintf(std.out, "%s: %s %s for %s, because %s\n", word, c.Do, c.Name, who(c.Token, a), why(a))
	if !a.Allowed {
		return errDenied
	}
	return nil
}

// all answers for every verb of a channel.
func (c *checkAccessCmd) all(ctx context.Context, std streams, cfg hocket.Config) error {
	var parts []string
	var last hocket.AccessAnswer
	allowed, reasons := false, map[string]bool{}
	for _, verb := range []string{"subscribe", "publish", "history", "presence"} {
		a, err := cfg.ExplainAccess(ctx, hocket.AccessQuestion{Token: c.Token, Verb: verb, Name: c.Name, Key: c.Key})
		if err != nil {
			return &usageError{err}
		}
		word := "no"
		if a.Allowed {
			word, allowed = "yes", true
		}
		reasons[a.Why] = true
		parts = append(parts, fmt.Sprintf("%s %s (%s)", verb, word, why(a)))
		last = a
	}
	if !allowed && len(reasons) == 1 {
		parts = []string{fmt.Sprintf("nothing (%s)", last.Why)} // the token, say, does not hold
	}
	_, err := fmt.Fprintf(std.out, "%s for %s: %s\n", c.Name, who(c.Token, last), strings.Join(parts, ", "))
	return err
}

// why is the reason of an answer, and how often it allows.
func why(a hocket.AccessAnswer) string {
	return strings.Join(append([]string{a.Why}, a.Limits...), "; ")
}

// who names the client of an answer.
func who(token string, a hocket.AccessAnswer) string {
	switch {
	case token == "":
		return "a client without proof"
	case a.User == "":
		return "the bearer of the token"
	}
	return fmt.Sprintf("%q", a.User)
}
