package lazyauth

import (
	"context"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// ZapTrace returns a trace that writes to log: what operators should see at
// info level, failures at warn, the rest at debug. The end of each flight is one line.
func ZapTrace(log *zap.Logger) *Trace {
	write := func(level zapcore.Level) writer {
		return func(_ context.Context, message string, l line) {
			if entry := log.Check(level, message); entry != nil {
				var fields []zap.Field
				l.fields(func(key string, value any) { fields = append(fields, zap.Any(key, value)) })
				entry.Write(fields...)
			}
		}
	}
	return logTrace(write(zap.DebugLevel), write(zap.InfoLevel), write(zap.WarnLevel))
}
