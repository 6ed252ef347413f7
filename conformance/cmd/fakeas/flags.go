package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
)

// flags are the parsed command line.
type flags struct {
	addr    string
	quiet   bool
	iss     string
	options fakeas.Options
}

func parse(args []string, log io.Writer) (*flags, error) {
	f, o := &flags{}, &fakeas.Options{}
	set := flag.NewFlagSet("fakeas", flag.ContinueOnError)
	set.SetOutput(log)
	set.Usage = func() {
		fmt.Fprintln(log, "fakeas serves a test authorization server, its pages and a small notes API.")
		var text bytes.Buffer
		set.SetOutput(&text)
		set.PrintDefaults()
		set.SetOutput(log)
		fmt.Fprint(log, wrapped(text.String()))
	}
	client := fakeas.Client{}
	var remote, post bool
	var scopes, withhold string
	set.StringVar(&f.addr, "addr", "127.0.0.1:9070", "`address` to listen on; port 0 takes a free one")
	set.BoolVar(&remote, "allow-remote", false, "accept an -addr that is not loopback. Whoever can reach it can then approve "+
		"anything, as the pages ask for no password, and whoever is on the way can read every code and token, as there is no TLS")
	set.StringVar(&o.Issuer, "issuer", "", "base `URL` to announce; requests for another host are refused (default: http:// and the address listened on)")
	set.StringVar(&client.ID, "client-id", fakeas.DefaultClientID, "client `ID`")
	set.StringVar(&client.Secret, "client-secret", "", "client `secret`; empty for a public client. Other users of this machine can read command lines")
	set.BoolVar(&post, "client-secret-post", false, "the client authenticates in the body instead of the header")
	set.StringVar(&client.Name, "client-name", "", "`name` of the client on the pages (default: its ID)")
	set.DurationVar(&o.Interval, "interval", 5*time.Second, "least time between polls, in whole seconds")
	set.DurationVar(&o.CodeLifetime, "expires-in", 10*time.Minute, "lifetime of a device code, in whole seconds")
	set.DurationVar(&o.TokenLifetime, "token-ttl", time.Hour, "lifetime of an access token, in whole seconds; 0 for ever")
	set.DurationVar(&o.Latency, "latency", 0, "wait before every answer")
	set.StringVar(&scopes, "scopes", "profile,notes:read,notes:write", "supported scopes, separated by commas; the first is the default")
	set.StringVar(&withhold, "withhold", "", "scopes that an approval leaves out, separated by commas")
	set.BoolVar(&o.NoRefresh, "no-refresh", false, "issue no refresh tokens")
	set.BoolVar(&o.NoRotation, "no-rotation", false, "refresh tokens stay valid after use")
	set.BoolVar(&o.DetectReuse, "detect-reuse", false, "reuse of a replaced refresh token revokes the grant")
	set.BoolVar(&o.OpenID, "openid", false, "serve the metadata as an OpenID configuration too")
	set.BoolVar(&f.quiet, "quiet", false, "do not log requests and violations")
	f.authorization(set, o, &client)
	if err := set.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil, err
		}
		return nil, errUsage
	}
	if set.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", set.Arg(0))
	}

	if err := checkAddr(f.addr, remote); err != nil {
		return nil, err
	}
	if o.Interval < time.Second || o.CodeLifetime < time.Second || o.AuthorizationCodeLifetime < time.Second || o.PushLifetime < time.Second {
		return nil, errors.New("-interval, -expires-in, -code-ttl and -push-ttl are at least 1s")
	}
	if o.Latency < 0 {
		return nil, errors.New("-latency is not negative")
	}
	if post {
		client.Auth = fakeas.PostAuth
	}
	o.Clients = []fakeas.Client{client}
	o.Scopes = split(scopes)
	o.Withhold = split(withhold)
	if err := o.Validate(); err != nil {
		return nil, err
	}
	f.options = *o
	return f, nil
}

// authorization declares what is about the authorization endpoint and about
// who the client is.
func (f *flags) authorization(set *flag.FlagSet, o *fakeas.Options, client *fakeas.Client) {
	set.BoolVar(&o.NoDevice, "no-device", false, "a server without the device flow")
	set.BoolVar(&o.NoAuthorization, "no-authorization", false, "a server without the authorization endpoint")
	set.Func("redirect-uri", "redirect `URI` of the client; may be repeated. Compared as it stands, but for the port of http on 127.0.0.1 and [::1] (default: /callback there, and what is below it)",
		func(uri string) error { client.RedirectURIs = append(client.RedirectURIs, uri); return nil })
	set.BoolVar(&o.ExactPorts, "exact-ports", false, "compare the port of every redirect URI")
	set.DurationVar(&o.AuthorizationCodeLifetime, "code-ttl", time.Minute, "lifetime of an authorization code, in whole seconds")
	choice(set, &o.PKCE, "pkce", "`what` becomes of PKCE in authorization requests: required, optional or ignored (default required)", pkce)
	choice(set, &o.DevicePKCE, "device-pkce", "`what` becomes of it in device authorizations (default optional)", pkce)
	choice(set, &o.Push, "push", "`what` becomes of pushed authorization requests: none, accepted or required (default none)",
		map[string]fakeas.Push{"none": fakeas.PushNone, "accepted": fakeas.PushAccepted, "required": fakeas.PushRequired})
	set.DurationVar(&o.PushLifetime, "push-ttl", time.Minute, "lifetime of a pushed request, in whole seconds")
	set.BoolVar(&o.NoIss, "no-iss", false, "leave iss (RFC 9207) out of authorization responses and metadata")
	set.StringVar(&f.iss, "wrong-iss", "", "send this `issuer` in every authorization response, as a mix-up attack would")
	set.BoolVar(&o.RememberConsent, "remember-consent", false, "do not ask a browser again for what was granted in it")
	set.BoolVar(&o.NoHintInURL, "no-hint-in-url", false, "refuse a login_hint that stands in an authorization URL")
	set.Func("demand", "a `parameter` that requests must have, as in refresh:resource or exchange:audience=https://api.example; may be repeated. Of the operations authorization, exchange, device_authorization, poll and refresh", func(text string) error { return demand(o, text) })
	set.BoolVar(&o.Registration, "registration", false, "let clients register (RFC 7591)")
	set.Func("client-document", "`file` with a client ID metadata document, used for the client_id in it; may be repeated", func(file string) error { return addDocument(o, file) })
	set.Func("client-hosts", "`hosts` whose documents are used, separated by commas (default: all)",
		func(hosts string) error { o.ClientHosts = split(hosts); return nil })
}

var pkce = map[string]fakeas.PKCE{"required": fakeas.PKCERequired, "optional": fakeas.PKCEOptional, "ignored": fakeas.PKCEIgnored}

// choice declares a flag that takes one of some words.
func choice[T any](set *flag.FlagSet, into *T, name, usage string, words map[string]T) {
	set.Func(name, usage, func(text string) error {
		value, ok := words[text]
		if !ok {
			return errors.New("none of its words")
		}
		*into = value
		return nil
	})
}

// demand takes one parameter of one operation.
func demand(o *fakeas.Options, text string) error {
	op, parameter, _ := strings.Cut(text, ":")
	switch fakeas.Operation(op) {
	case fakeas.Authorization, fakeas.Exchange, fakeas.DeviceAuthorization, fakeas.Poll, fakeas.Refresh:
	default:
		return errors.New("no such operation")
	}
	if parameter == "" || strings.HasPrefix(parameter, "=") {
		return errors.New("no parameter")
	}
	if o.Demand == nil {
		o.Demand = make(map[fakeas.Operation][]string)
	}
	o.Demand[fakeas.Operation(op)] = append(o.Demand[fakeas.Operation(op)], parameter)
	return nil
}

// addDocument takes a client ID metadata document from a file.
func addDocument(o *fakeas.Options, file string) error {
	text, err := os.ReadFile(file) //nolint:gosec // the person at the command line names it
	if err != nil {
		return err
	}
	var document struct {
		ClientID string `json:"client_id"`
	}
	if err := json.Unmarshal(text, &document); err != nil || document.ClientID == "" {
		return fmt.Errorf("%s: no JSON object with a client_id", file)
	}
	next := o.ClientDocument
	o.ClientDocument = func(clientID string) ([]byte, bool) {
		if clientID == document.ClientID {
			return text, true
		}
		if next != nil {
			return next(clientID)
		}
		return nil, false
	}
	return nil
}

// checkAddr refuses addresses that are not loopback unless they are allowed.
func checkAddr(addr string, remote bool) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("-addr: %w", err)
	}
	ip := net.ParseIP(host)
	if loopback := host == "localhost" || ip != nil && ip.IsLoopback(); !loopback && !remote {
		return fmt.Errorf("-addr %s is not a loopback address; see -allow-remote", addr)
	}
	return nil
}

func split(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}

// wrapped returns what [flag.FlagSet.PrintDefaults] prints, with no line of more than 80 columns
// that can be broken at a blank.
func wrapped(text string) string {
	const indent, columns = "        ", 80
	var out strings.Builder
	at := 0 // the column in a flag's description, 0 outside of one
	for line := range strings.Lines(text) {
		described, ok := strings.CutPrefix(line, "    \t")
		if !ok {
			if at > 0 {
				out.WriteByte('\n')
			}
			at = 0
			out.WriteString(line)
			continue
		}
		for word := range strings.FieldsSeq(described) {
			switch {
			case at == 0:
				out.WriteString(indent)
				at = len(indent)
			case at+1+len(word) > columns:
				out.WriteString("\n" + indent)
				at = len(indent)
			default:
				out.WriteByte(' ')
				at++
			}
			out.WriteString(word)
			at += len(word)
		}
	}
	if at > 0 {
		out.WriteByte('\n')
	}
	return out.String()
}
