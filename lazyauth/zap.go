package lazyauth

import (
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// ZapTrace returns a trace that writes to log: what operators should see at
// info level, failures at warn, the rest at debug. The end of each flight is one line.
func ZapTrace(log *zap.Logger) *Trace {
	write := func(level zapcore.Level) func(string, Event) {
		return func(message string, e Event) {
			if line := log.Check(level, message); line != nil {
				var fields []zap.Field
				e.fields(func(key string, value any) { fields = append(fields, zap.Any(key, value)) })
				line.Write(fields...)
			}
		}
	}
	return logTrace(write(zap.DebugLevel), write(zap.InfoLevel), write(zap.WarnLevel))
}
