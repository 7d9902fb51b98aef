package acme

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"

	"go.uber.org/zap/zapcore"
)

// slogCore writes what certmagic logs into a slog.Logger: its warnings and errors. What it does otherwise the Manager tells.
type slogCore struct {
	log    *slog.Logger
	over   *atomic.Bool // true when there is nothing to be said any more
	fields []zapcore.Field
}

// Enabled implements zapcore.LevelEnabler.
func (c slogCore) Enabled(level zapcore.Level) bool {
	return level >= zapcore.WarnLevel && !c.over.Load()
}

// With implements zapcore.Core.
func (c slogCore) With(fields []zapcore.Field) zapcore.Core {
	return slogCore{c.log, c.over, append(slices.Clip(c.fields), fields...)}
}

// Check implements zapcore.Core.
func (c slogCore) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(entry.Level) {
		return checked.AddCore(entry, c)
	}
	return checked
}

// Write implements zapcore.Core.
func (c slogCore) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	values := zapcore.NewMapObjectEncoder()
	for _, f := range append(slices.Clip(c.fields), fields...) {
		f.AddTo(values)
	}
	level := slog.LevelWarn
	if entry.Level >= zapcore.ErrorLevel {
		level = slog.LevelError
	}
	args := make([]any, 0, 2*len(values.Fields))
	for _, name := range slices.Sorted(maps.Keys(values.Fields)) {
		args = append(args, name, values.Fields[name])
	}
	c.log.Log(context.Background(), level, "certificates: "+entry.Message, args...)
	return nil
}

// Sync implements zapcore.Core.
func (slogCore) Sync() error { return nil }
