package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"hocket.dev"
	apikeys "hocket.dev/internal/api"
	"hocket.dev/internal/config"
)

// tokenKeys are the keys of tokens, some of which stand in files that may change while the server runs.
type tokenKeys struct {
	settings *config.Tokens
	seen     []os.FileInfo // the files as they were when they were read last, with success or not; nil for none
}

// read returns the settings of tokens with what stands in the files. The error is one sentence.
func (k *tokenKeys) read() (hocket.Tokens, error) {
	k.seen = k.files()
	return k.settings.Hocket()
}

// files describes the files; what cannot be looked at is nil, and reading it says why.
func (k *tokenKeys) files() (all []os.FileInfo) {
	for _, path := range k.settings.Files() {
		info, _ := os.Stat(path)
		all = append(all, info)
	}
	return all
}

// look takes up changed files. Keys that cannot be used are reported, and those before them stay, all of them.
func (k *tokenKeys) look(set func([]hocket.TokenKey) error, log *slog.Logger) {
	if slices.EqualFunc(k.files(), k.seen, same) {
		return
	}
	tokens, err := k.read()
	if err == nil {
		err = set(tokens.Keys)
	}
	if err != nil {
		log.Warn("the changed keys of tokens cannot be used; those before them stay", "error", err)
		return
	}
	log.Info("the files with keys of tokens were read again", "keys", len(tokens.Keys))
}

// A reader reads again, while the server runs, what may change without a restart: the files of keys when they have changed, and
// the keys in the configuration file when it is told to.
type reader struct {
	cmd *serveCmd
	set *settings // those of the start
	srv *hocket.Server
	log *slog.Logger
	hup chan os.Signal // never anything where there is no configuration file

	keys   *apiKeys
	tokens *tokenKeys
}

// readAgain begins to read again; where there is a configuration file, SIGHUP tells to. The function that it returns ends it.
func (c *serveCmd) readAgain(ctx context.Context, set *settings, srv *hocket.Server, log *slog.Logger) (stop func()) {
	r := &reader{cmd: c, set: set, srv: srv, log: log, hup: make(chan os.Signal, 1), keys: set.keys, tokens: set.tokens}
	if c.Config != "" {
		signal.Notify(r.hup, syscall.SIGHUP)
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.watch(ctx)
	}()
	return func() {
		cancel()
		<-ended
		signal.Stop(r.hup)
	}
}

// watch looks for changes every second until ctx ends.
func (r *reader) watch(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			r.keys.look(r.srv.SetAPIKeys, r.log)
			r.tokens.look(r.srv.SetTokenKeys, r.log)
		case <-r.hup:
			if err := r.again(); err != nil {
				r.log.Warn("the configuration cannot be read again; what holds stays", "error", err)
			}
		case <-ctx.Done():
			return
		}
	}
}

// again takes up the keys of the configuration file, all or none, and says what else in it would be another after a restart.
func (r *reader) again() error {
	file, err := r.cmd.read()
	if err != nil {
		return err
	}
	keys, tokens := r.set.gatherKeys(&file), &tokenKeys{settings: &file.Tokens}
	ofAPI, err := keys.read()
	if err != nil {
		return err
	}
	ofTokens, err := tokens.read()
	if err != nil {
		return err
	}
	if err := apikeys.CheckKeys(ofAPI); err != nil {
		return fmt.Errorf("API keys: %w", err)
	}
	pending := r.set.file.Changed(&file)
	live := []string{"api_keys", "api_keys_file"}
	if r.set.checksTokens() {
		live = append(live, "tokens.keys")
		if err := r.srv.SetTokenKeys(ofTokens.Keys); err != nil {
			return err
		}
		r.tokens = tokens
	}
	if err := r.srv.SetAPIKeys(ofAPI); err != nil {
		return err
	}
	r.keys = keys
	r.log.Info("the keys of the configuration were read again", "api_keys", len(ofAPI), "token_keys", len(ofTokens.Keys))
	pending = slices.DeleteFunc(pending, func(name string) bool { return slices.Contains(live, name) })
	if len(pending) > 0 {
		r.log.Warn("other settings have changed, which hold from the next start on", "settings", strings.Join(pending, ", "))
	}
	return nil
}

// checksTokens tells whether the server was started with keys of tokens, or where to get some.
func (s *settings) checksTokens() bool {
	return len(s.hocket.Tokens.Keys) > 0 || s.hocket.Tokens.JWKS != ""
}
