package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/examples/http/server"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// operate runs a command on the grants of a store, and returns the exit code. The server need not run; if it does, it
// follows within half a minute.
func operate(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	cfg, err := parseGrantsFlags(args, getenv)
	if errors.Is(err, errHelp) {
		fmt.Fprint(stdout, grantsHelp)
		return 0
	}
	if err == nil {
		err = cfg.openOperatorsLog()
	}
	if err != nil {
		fmt.Fprintf(stderr, "http grants: %v\nRun http grants -help for the commands and an example.\n", err)
		return 2
	}
	defer cfg.closeLog()
	auth, err := lazyauth.New(cfg.Service(), &lazyauth.Options{
		Store: cfg.Options.Store, Audit: cfg.audit(), Trace: lazyauth.ZapTrace(cfg.Log),
		VerifyUser: server.VerifyUser(cfg.Issuer), // nobody is asked here
	})
	if err != nil {
		fmt.Fprintf(stderr, "http grants: %v\n", err)
		return 2
	}
	o := operation{cfg, lazyauth.NewOperator(auth, cfg.operator), stdout, stderr}
	err = o.run(ctx)
	err = errors.Join(err, auth.Close())
	if err != nil {
		o.explain(err)
		return 1
	}
	return 0
}

// An operation is one command.
type operation struct {
	*config
	op             *lazyauth.Operator
	stdout, stderr io.Writer
}

func (o *operation) run(ctx context.Context) error {
	switch o.command {
	case "list":
		return o.list(ctx)
	case "end":
		return o.end(ctx)
	case "bar":
		n, err := o.op.Bar(ctx, o.person, o.until)
		if isDone(err) {
			o.say("%s is barred%s, and has lost %s.", o.name(), until(o.until), grants(n))
		}
		return err
	case "lift":
		was, err := o.op.Lift(ctx, o.person)
		switch {
		case err != nil:
		case was:
			o.say("%s is barred no more, and is asked anew by the next call.", o.name())
		default:
			o.say("%s was not barred.", o.name())
		}
		return err
	case "bars":
		return o.bars(ctx)
	case "erase":
		n, err := o.op.Erase(ctx, o.person)
		if isDone(err) {
			o.say("%s is erased, with %s. What this does not reach:\n- %s", o.name(), grants(n), strings.Join(lazyauth.Remains, "\n- "))
		}
		return err
	default: // export
		export, err := o.op.Export(ctx, o.person)
		out := json.NewEncoder(o.stdout)
		out.SetIndent("", "  ")
		return errors.Join(err, out.Encode(export))
	}
}

// list shows what a person has granted, and whether they are barred.
func (o *operation) list(ctx context.Context) error {
	all, err := o.op.Grants(ctx, o.person)
	bar, failed := o.op.Barred(ctx, o.person)
	if err = errors.Join(err, failed); err != nil && len(all) == 0 {
		return err
	}
	if len(all) == 0 {
		o.say("%s has granted nothing.", o.name())
	} else {
		o.say("%s has granted:", o.name())
	}
	for _, s := range all {
		account := "the account without a name"
		if s.Principal.Account != "" {
			account = fmt.Sprintf("account %q", s.Principal.Account)
		}
		o.say("  %s: %s", account, s.Scopes)
		if !s.Identity.IsZero() {
			o.say("    signed in as  %q %q", s.Identity.Name, s.Identity.Subject)
		}
		o.say("    since         %s", day(s.Since, "not known"))
		o.say("    last renewed  %s", day(s.Renewed, "not yet, or not known"))
		if s.Renewable {
			o.say("    until         it is ended; renewed when a call needs it")
		} else {
			o.say("    until         %s", day(s.Expires, "it is ended"))
		}
		for _, host := range s.Hosts {
			o.say("    asked for by  %q, as it says", host)
		}
	}
	if bar != nil {
		o.say("%s is barred%s, since %s, by %q.", o.name(), until(bar.Until), day(bar.Since, "?"), bar.By)
	}
	return err
}

func (o *operation) end(ctx context.Context) (err error) {
	n := 1
	if o.all {
		n, err = o.op.EndAll(ctx, o.person)
	} else {
		who := o.person
		who.Account = o.account
		had, failed := o.op.Grants(ctx, o.person)
		if failed == nil && !slices.ContainsFunc(had, func(s lazyauth.Status) bool { return s.Principal == who }) {
			n = 0
		}
		err = o.op.End(ctx, who)
	}
	if isDone(err) {
		o.say("%s has lost %s, and is asked anew by the next call.", o.name(), grants(n))
	}
	return err
}

func (o *operation) bars(ctx context.Context) error {
	all, err := o.op.Bars(ctx)
	for _, b := range all {
		name := "somebody who was erased"
		if b.Subject != "" {
			name = fmt.Sprintf("%q of %q", b.Subject, b.Issuer)
		}
		o.say("%s%s, since %s, by %q", name, until(b.Until), day(b.Since, "?"), b.By)
	}
	if err == nil && len(all) == 0 {
		o.say("Nobody is barred.")
	}
	return err
}

// isDone reports whether what was to end has ended in the store, whatever the authorization server says.
func isDone(err error) bool { return err == nil || lazyauth.IsJustNotRevoked(err) }

func (o *operation) say(format string, args ...any) { fmt.Fprintf(o.stdout, format+"\n", args...) }

func (o *operation) name() string { return fmt.Sprintf("%q of %q", o.person.Subject, o.person.Issuer) }

// explain says what went wrong, and what to do.
func (o *operation) explain(err error) {
	text := strings.ReplaceAll(strings.ReplaceAll(err.Error(), "lazyauth: ", ""), "\n", "; ")
	switch {
	case errors.Is(err, store.ErrWrongKey):
		text += ". Give the key that the server has, in " + storeKeyVariable + " or by -store-key"
	case lazyauth.IsJustNotRevoked(err):
		text += ". What this server knew is forgotten, and what the authorization server gave may work until it expires: end it there, too"
	default:
		text += ". Do it again: it may not be done everywhere"
	}
	fmt.Fprintf(o.stderr, "http grants %s: %s\n", o.command, text)
}

func grants(n int) string {
	if n == 1 {
		return "1 grant"
	}
	return fmt.Sprintf("%d grants", n)
}

func day(at time.Time, unknown string) string {
	if at.IsZero() {
		return unknown
	}
	return at.UTC().Format("2006-01-02 15:04 UTC")
}

func until(at time.Time) string {
	if at.IsZero() {
		return " until that is lifted"
	}
	return " until " + day(at, "")
}
