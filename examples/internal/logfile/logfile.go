// Package logfile opens the log of an example server, whose standard output
// belongs to the protocol and whose standard error few hosts show.
package logfile

import (
	"os"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Open opens a file for appending and returns a log that writes JSON lines to
// it, and what closes it. Without a name it is a log that goes nowhere. Only its
// owner may read a new file: it holds no secrets, but who did what when.
func Open(name string) (log *zap.Logger, closeLog func(), err error) {
	if name == "" {
		return zap.NewNop(), func() {}, nil
	}
	file, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, err
	}
	encoding := zap.NewProductionEncoderConfig()
	encoding.EncodeTime = zapcore.ISO8601TimeEncoder
	encoding.EncodeDuration = zapcore.StringDurationEncoder
	log = zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(encoding), file, zap.DebugLevel))
	return log, func() { _ = file.Close() }, nil // written unbuffered: nothing is lost
}
