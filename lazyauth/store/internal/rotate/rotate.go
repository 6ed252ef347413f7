// Package rotate is the command that seals the rows of a fleet anew, for each engine one: after a sealing key was
// replaced, or after the machines were told to write another format.
package rotate

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// KeysVariable has the sealing keys, with commas between them, in base64: the one that seals, and those before it.
const KeysVariable = "LAZYAUTH_SEALING_KEYS"

// An Engine is what the command of one engine has of its own.
type Engine struct {
	URLVariable string   // which has the URL
	Instead     []string // variables that can say where the rows are if that one is empty
	// Flags are the engine's own; what they return opens it, once they are parsed.
	Flags func(*flag.FlagSet) func(ctx context.Context, url string) (rows store.Shared, closeRows func(), err error)
}

// Main is the command. It does not return.
func Main(e Engine) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := Run(ctx, e, os.Args[1:], os.Getenv, os.Stdout)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "rotate:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// look is how often it looks whether those who work on the rows that are left have written them.
const look = 5 * time.Second

// usage names the variables of the URL and of the keys.
const usage = `rotate seals anew the rows of a fleet that are sealed by another key than the first one, or are in another format
than the machines write. They may work meanwhile, and it may be ended at any time and begun again. It reads

  %s  the URL of the server, with user and password
  %s  the sealing keys in base64, with commas between them: the one that seals, and those before it

`

// Run is the command with its arguments. It says how far it has come. The error says what is left in the end.
func Run(ctx context.Context, e Engine, args []string, getenv func(string) string, out io.Writer) error {
	flags := flag.NewFlagSet("rotate", flag.ContinueOnError)
	format := flags.Int("format", 0, "the `number` of the format in which the machines write (FleetOptions.Format); 0: that which they write if they are told none")
	wait := flags.Duration("wait", time.Minute, "how long to wait for rows on which machines work")
	open := e.Flags(flags)
	flags.Usage = func() {
		fmt.Fprintf(flags.Output(), usage, e.URLVariable, KeysVariable)
		flags.PrintDefaults()
	}
	switch err := flags.Parse(args); {
	case err != nil:
		return err
	case flags.NArg() > 0:
		return fmt.Errorf("it takes no arguments: the URL is read from %s, and the keys from %s", e.URLVariable, KeysVariable)
	}
	if getenv(e.URLVariable) == "" && !slices.ContainsFunc(e.Instead, func(name string) bool { return getenv(name) != "" }) {
		return fmt.Errorf("%s is empty: it has the URL of the server, with user and password", e.URLVariable)
	}
	keys, err := keysIn(getenv(KeysVariable))
	if err != nil {
		return err
	}
	rows, closeRows, err := open(ctx, getenv(e.URLVariable))
	if err != nil {
		return err
	}
	defer closeRows()
	names := make([]byte, store.KeySize)
	rand.Read(names) // nothing is looked for by a name
	f, err := store.NewFleet(rows, names, keys, &store.FleetOptions{Format: *format})
	if err != nil {
		return err
	}
	for began := time.Now(); ; {
		r, err := f.Rotate(ctx)
		fmt.Fprintf(out, "sealed anew: %d, left: %d\n", r.Sealed, r.Left)
		switch {
		case err != nil:
			return err
		case r.Left == 0:
			return nil
		case time.Since(began) >= *wait:
			return fmt.Errorf("machines work on the %d that are left: run it again", r.Left)
		}
		select {
		case <-time.After(look):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// keysIn reads keys. Its errors quote nothing of them.
func keysIn(text string) (keys [][]byte, err error) {
	if text == "" {
		return nil, fmt.Errorf("%s is empty: it has the sealing keys, the one that seals first, then those before it", KeysVariable)
	}
	for one := range strings.SplitSeq(text, ",") {
		key, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.TrimSpace(one), "="))
		if err != nil || len(key) != store.KeySize {
			return nil, fmt.Errorf("%s: key %d is not %d bytes in base64", KeysVariable, len(keys)+1, store.KeySize)
		}
		keys = append(keys, key)
	}
	return keys, nil
}
