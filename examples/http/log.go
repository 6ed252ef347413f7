package main

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/lazyauth/mcp-lazyauth/examples/internal/logfile"
	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"
	"go.uber.org/zap/zapcore"
)

// openLog opens the log: a file if one was asked for, standard error for what
// operators should see if not. The SDK writes to slog and this server to zap;
// zapslog leads both into one core, so that there is one log in one format.
func (c *config) openLog(stderr io.Writer) (err error) {
	if c.logFile == "" {
		encoding := zap.NewProductionEncoderConfig()
		encoding.EncodeTime = zapcore.ISO8601TimeEncoder
		encoding.EncodeDuration = zapcore.StringDurationEncoder
		c.Log = zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(encoding), zapcore.Lock(zapcore.AddSync(stderr)), zap.InfoLevel))
		c.closeLog = func() {}
	} else if c.Log, c.closeLog, err = logfile.Open(c.logFile); err != nil {
		return fmt.Errorf("-log: %w: give a file that can be written", err)
	}
	// Below warnings the SDK has a line for every request of the stateless
	// endpoint, and the ids of sessions, which are nobody's business.
	core, err := zapcore.NewIncreaseLevelCore(c.Log.Core(), zap.WarnLevel)
	if err != nil {
		return err
	}
	c.SDKLog = slog.New(zapslog.NewHandler(core, zapslog.WithName("mcp")))
	return nil
}
