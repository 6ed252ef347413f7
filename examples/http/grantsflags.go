package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/examples/internal/logfile"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"go.uber.org/zap"
)

const grantsHelp = `http grants shows and ends what people have granted to a server with -store.

Usage, with the same -issuer, -client-id, -store and key as the server, which
may run meanwhile: it follows within half a minute.

  http grants list   -person SUBJECT [flags]   what somebody has granted
  http grants end    -person SUBJECT -account NAME [flags]   end one of it
  http grants end    -person SUBJECT -all [flags]            end all of it
  http grants bar    -person SUBJECT [-until TIME] [flags]   end all of it, and
                                               let them have nothing until then
  http grants lift   -person SUBJECT [flags]   end a bar; nothing comes back
  http grants bars   [flags]                   who is barred
  http grants erase  -person SUBJECT [flags]   end all, and delete each record.
                                               Lift a bar before, to leave nothing
  http grants export -person SUBJECT [flags]   what is kept, as JSON, no secrets

Whom it is about:
  -person SUBJECT          as their bearer tokens name them (sub)
  -person-issuer URL       and who issues those; -issuer, if it is not given
  -account NAME            which account of theirs; "" is the one without a name
  -until TIME              such as 2027-01-31, or 2027-01-31T18:00:00Z
  -by NAME                 who you are, for bars and the log; if it is not given,
                           the name of your user

Of which server:
  -issuer URL, -client-id ID, -client-auth METHOD, -store DIR, -store-key FILE
                           as for the server: see http -help. The client's secret
                           is in ` + clientSecretVariable + `: to revoke takes it
  -log FILE                append a log, and what is done to whom, as JSON lines

Exit codes: 0 done, 1 not done or not everywhere (standard error says what), 2
the command line is wrong. For example:

  ` + storeKeyVariable + `=... http grants bar -person ada -issuer https://as.example.com \
    -client-id notes -store /var/lib/notes/grants
`

var grantsCommands = []string{"list", "end", "bar", "lift", "bars", "erase", "export"}

// An operatorsConfig is what the command line says of a command.
type operatorsConfig struct {
	command, operator, account string
	person                     lazyauth.Principal
	all                        bool
	until                      time.Time
}

// parseGrantsFlags returns the settings in args, or an error that says what is wrong and what would be right.
func parseGrantsFlags(args []string, getenv func(string) string) (*config, error) {
	cfg := new(config)
	cfg.ClientSecret = getenv(clientSecretVariable)
	var keyFile string
	flags := flag.NewFlagSet("http grants", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // operate prints the error
	cfg.serviceFlags(flags, &keyFile)
	flags.StringVar(&cfg.person.Subject, "person", "", "")
	flags.StringVar(&cfg.person.Issuer, "person-issuer", "", "")
	flags.StringVar(&cfg.account, "account", "", "")
	flags.BoolVar(&cfg.all, "all", false, "")
	flags.StringVar(&cfg.operator, "by", cmp.Or(getenv("SUDO_USER"), getenv("USER"), getenv("USERNAME"), "operator"), "")
	flags.Func("until", "", func(text string) (err error) {
		cfg.until, err = parseTime(text)
		return err
	})
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		cfg.command, args = args[0], args[1:]
	}
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	given := make(map[string]bool)
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	cfg.person.Issuer = cmp.Or(cfg.person.Issuer, cfg.Issuer)
	cfg.API = cfg.Issuer // nothing is called
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("%q is not a flag: give one command, and flags behind it", flags.Arg(0))
	}
	if err := cfg.checkGrants(given); err != nil {
		return nil, err
	}
	return cfg, cfg.openStore(keyFile, getenv(storeKeyVariable))
}

func (c *config) checkGrants(given map[string]bool) error {
	if c.command == "" {
		return errors.New("no command is given: give list, end, bar, lift, bars, erase or export")
	}
	if !slices.Contains(grantsCommands, c.command) {
		return fmt.Errorf("%q is no command: give list, end, bar, lift, bars, erase or export", c.command)
	}
	switch {
	case c.Issuer == "":
		return errors.New("-issuer is missing: give that of the server, by which grants are found")
	case c.ClientID == "":
		return errors.New("-client-id is missing: give that of the server, by which grants are found")
	case c.storeDir == "":
		return errors.New("-store is missing: give that of the server. Without one it keeps grants in memory, where no command finds them")
	case c.command == "bars" && given["person"]:
		return errors.New("bars shows everybody who is barred: leave out -person, or say list")
	case c.command != "bars" && c.person.Subject == "":
		return errors.New("-person is missing: give whom it is about, as their bearer tokens name them")
	case c.command == "end" && c.all == given["account"]:
		return errors.New(`end needs either -account NAME, which may be "", or -all`)
	case c.command != "end" && (c.all || given["account"]):
		return errors.New("-account and -all are for end: everything else is about all accounts of a person")
	case c.command != "bar" && given["until"]:
		return errors.New("-until is for bar")
	case given["until"] && !c.until.After(time.Now()):
		return errors.New("-until is over: give a time to come")
	}
	if info, err := os.Stat(c.storeDir); err != nil || !info.IsDir() {
		return fmt.Errorf("-store: there is no folder %s: give that of the server, which makes it with the first grant", c.storeDir)
	}
	return nil
}

// parseTime reads a day, at its beginning, or a time.
func parseTime(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return at, nil
		}
	}
	return time.Time{}, errors.New("give a day such as 2027-01-31, or a time such as 2027-01-31T18:00:00Z")
}

// openOperatorsLog opens the log, if there is to be one. What there is to say stands on standard error in any case.
func (c *config) openOperatorsLog() (err error) {
	if c.logFile == "" {
		c.Log, c.closeLog = zap.NewNop(), func() {}
		return nil
	}
	if c.Log, c.closeLog, err = logfile.Open(c.logFile); err != nil {
		return fmt.Errorf("-log: %w: give a file that can be written", err)
	}
	return nil
}

// audit has the log tell who got access, who lost it, and by whom.
func (c *config) audit() *lazyauth.Audit {
	log := c.Log.Named("audit")
	return &lazyauth.Audit{Record: func(_ context.Context, e lazyauth.AuditEntry) {
		log.Info(string(e.Event), zap.String("service", e.Service), zap.String("person", e.Person), zap.String("account", e.Account), zap.Stringer("scopes", e.Scopes),
			zap.String("by", string(e.By)), zap.String("operator", e.Operator), zap.String("id", e.ID), zap.Int("lost", e.Lost))
	}}
}
