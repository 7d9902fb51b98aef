package main

import (
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"

	"hocket.dev"
	"hocket.dev/internal/config"
)

// minKeyBytes is how long a key is at least that others than this machine can try: 128 bits, if they are random.
const minKeyBytes = 16

// apiKeys are the keys of the API: those of the configuration and the environment, and those of a file that may change while the
// server runs.
type apiKeys struct {
	fixed   []hocket.APIKey
	file    string      // "" without
	seen    os.FileInfo // the file as it was when it was read last, with success or not; nil for none
	private bool        // only this machine can try them, so short ones are taken
}

// gatherKeys takes keys as configured, and those of the environment, separated by commas.
func gatherKeys(file *config.File, environment string, private bool) *apiKeys {
	k := &apiKeys{file: file.APIKeysFile, private: private, fixed: config.HocketKeys(file.APIKeys)}
	for key := range strings.SplitSeq(environment, ",") {
		if key = strings.TrimSpace(key); key != "" {
			k.fixed = append(k.fixed, hocket.APIKey{Key: key, Scopes: []string{"*"}})
		}
	}
	return k
}

// read returns all keys. The error is one sentence.
func (k *apiKeys) read() ([]hocket.APIKey, error) {
	all := slices.Clone(k.fixed)
	if k.file != "" {
		k.seen, _ = os.Stat(k.file) // why it cannot be looked at, reading says
		more, err := config.ReadKeys(k.file)
		if err != nil {
			return nil, fmt.Errorf("api_keys_file: %w", err)
		}
		all = append(all, config.HocketKeys(more)...)
	}
	for i, key := range all {
		if len(key.Key) < minKeyBytes && !k.private {
			return nil, fmt.Errorf("API key %d of %d (%s) has %d bytes: where others can reach the API, one has at least %d, such as openssl rand -hex 16 makes",
				i+1, len(all), key, len(key.Key), minKeyBytes)
		}
	}
	return all, nil
}

// look takes up a changed file. One that cannot be used is reported, and the keys before it stay.
func (k *apiKeys) look(set func([]hocket.APIKey) error, log *slog.Logger) {
	if now, _ := os.Stat(k.file); same(now, k.seen) {
		return
	}
	keys, err := k.read()
	if err == nil {
		err = set(keys)
	}
	if err != nil {
		log.Warn("the changed file of API keys cannot be used; the keys before it stay", "error", err)
		return
	}
	log.Info("the file of API keys was read again", "keys", len(keys))
}

// warnOfShort says which keys would be refused if others than this machine could try them.
func warnOfShort(keys []hocket.APIKey, log *slog.Logger) {
	for _, key := range keys {
		if len(key.Key) < minKeyBytes {
			log.Warn("an API key is short: it is taken only because nobody but this machine can try it", "key", key, "bytes", len(key.Key), "least", minKeyBytes)
		}
	}
}
