package lazyauth

import (
	"context"
	"log/slog"
)

// SlogTrace returns a trace that writes to log: what operators should see at
// info level, failures at warn, the rest at debug. The end of each flight is one line.
// Handlers get the context of the hook.
func SlogTrace(log *slog.Logger) *Trace {
	write := func(level slog.Level) writer {
		return func(ctx context.Context, message string, l line) {
			if !log.Enabled(ctx, level) {
				return
			}
			var attrs []slog.Attr
			l.fields(func(key string, value any) { attrs = append(attrs, slog.Any(key, value)) })
			log.LogAttrs(ctx, level, message, attrs...)
		}
	}
	return logTrace(write(slog.LevelDebug), write(slog.LevelInfo), write(slog.LevelWarn))
}
