package lazyauth

import (
	"context"
	"log/slog"
)

// failuresTrace returns a trace that writes what fails, and nothing else, to the default
// logger that there is then. That one writes to standard error unless the program has
// put another in its place: standard output is the protocol's on stdio.
func failuresTrace() *Trace {
	warn := func(ctx context.Context, message string, l line) {
		writeTo(slog.Default(), slog.LevelWarn)(ctx, "lazyauth: "+message, l)
	}
	nothing := func(context.Context, string, line) {}
	all := logTrace(nothing, nothing, warn)
	return &Trace{StoreFailed: all.StoreFailed, Unidentified: all.Unidentified, Unattended: all.Unattended, CallbackFailed: all.CallbackFailed, Failed: all.Failed}
}

func writeTo(log *slog.Logger, level slog.Level) writer {
	return func(ctx context.Context, message string, l line) {
		if !log.Enabled(ctx, level) {
			return
		}
		var attrs []slog.Attr
		l.fields(func(key string, value any) { attrs = append(attrs, slog.Any(key, value)) })
		log.LogAttrs(ctx, level, message, attrs...)
	}
}

// SlogTrace returns a trace that writes to log: what operators should see at
// info level, failures at warn, the rest at debug. The end of each flight is one line.
// Handlers get the context of the hook.
func SlogTrace(log *slog.Logger) *Trace {
	return logTrace(writeTo(log, slog.LevelDebug), writeTo(log, slog.LevelInfo), writeTo(log, slog.LevelWarn))
}
