package lazyauth

import "go.uber.org/zap"

// ZapTrace returns a trace that writes to log: what operators should see at
// info level, failures at warn, the rest at debug.
func ZapTrace(log *zap.Logger) *Trace {
	at := func(write func(string, ...zap.Field), message string) func(Event) {
		return func(e Event) { write(message, e.zapFields()...) }
	}
	return &Trace{
		Waiting:   at(log.Debug, "call waits for authorization"),
		Prompted:  at(log.Info, "prompt shown"),
		Polled:    at(log.Debug, "polled the token endpoint"),
		Granted:   at(log.Info, "authorization granted"),
		Refreshed: at(log.Info, "grant refreshed"),
		Parked:    at(log.Debug, "handler parked"),
		Resumed:   at(log.Debug, "handler resumed"),
		Failed:    at(log.Warn, "authorization failed"),
	}
}

// zapFields returns the fields that apply to the event.
func (e Event) zapFields() []zap.Field {
	fields := []zap.Field{zap.String("service", e.Service)}
	add := func(applies bool, f zap.Field) {
		if applies {
			fields = append(fields, f)
		}
	}
	add(true, zap.Stringer("principal", e.Principal))
	add(e.Tool != "", zap.String("tool", e.Tool))
	add(!e.Scopes.IsEmpty(), zap.Stringer("scopes", e.Scopes))
	add(e.Channel != "", zap.String("channel", e.Channel))
	add(e.Attempt != 0, zap.Int("attempt", e.Attempt))
	add(e.Outcome != "", zap.String("outcome", e.Outcome))
	add(e.Status != 0, zap.Int("status", e.Status))
	add(e.Wait != 0, zap.Duration("wait", e.Wait))
	add(e.Took != 0, zap.Duration("took", e.Took))
	add(e.Reason != "", zap.String("reason", string(e.Reason)))
	add(e.Err != nil, zap.NamedError("cause", e.Err))
	return fields
}
