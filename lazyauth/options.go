package lazyauth

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"time"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/oauth2"
)

const (
	// defaultMaxWait leaves five seconds of the 60 after which most hosts
	// give a call up.
	defaultMaxWait    = 55 * time.Second
	defaultMaxCalls   = 4096
	defaultMaxSignIns = 2048
	// closeWait bounds how long Close waits for handlers.
	closeWait = 5 * time.Second
)

// Options are the settings of an [Interceptor] that most servers leave alone.
// The zero value, and nil, mean the defaults given with each field.
type Options struct {
	// MaxWait is how long after its arrival a call may wait for a person.
	// Then it is answered with [ReasonPending], the flight lives on, and the next
	// call joins it. Zero means 55 seconds, since many hosts end calls at 60.
	MaxWait time.Duration
	// Hosts says which hosts wait longer, or shorter, by the name in their
	// clientInfo; one with a star at its end stands for all names that begin like
	// it. Nil means [KnownHosts]; an empty map treats all alike.
	Hosts map[string]Host
	// Wording puts prompts into words, in the language of the person behind the
	// request, say. Nil means English. Its contract is that of [elicit.Wording].
	Wording func(*mcp.CallToolRequest, elicit.Channel, elicit.Prompt) string
	// InsecureTextAfterDecline tells the model address and code although its host's person,
	// or the host in their name, declined the prompt. An agent that can use a browser
	// in which the person is signed in could then approve by itself what the person
	// just refused.
	InsecureTextAfterDecline bool

	// Principal tells whose grant a call uses. Nil means: over stdio the one
	// local user; over HTTP the issuer and subject of the verified bearer
	// token ([auth.TokenInfo], as the SDK's RequireBearerToken leaves it).
	// Returning the zero Principal means the local user, so that every caller
	// for whom that is returned shares one grant. An error refuses the call.
	//
	// [auth.TokenInfo]: https://pkg.go.dev/github.com/modelcontextprotocol/go-sdk/auth#TokenInfo
	Principal func(context.Context, *mcp.CallToolRequest) (Principal, error)
	// VerifyUser confirms that a new grant belongs to the principal who asked
	// for it, typically by asking the service whose token it is. An error
	// discards the grant and fails the call with [ReasonUnverified]. It is required
	// for every principal but the local user in the device flow: a code can be approved by
	// anybody, and without the check an attacker who sends theirs to a victim
	// acts with the victim's grant (RFC 8628 §5.4). Where a grant came by a [Service].ConnectPage it may be nil; it is asked
	// all the same if it is there, since it can say whose account at the service it is.
	//
	// It should honour ctx, which ends after 30 seconds; so does the wait for it.
	VerifyUser func(ctx context.Context, who Principal, token *oauth2.Token) error
	// InsecureSingleUser serves HTTP as if every caller were the one local user, and
	// skips VerifyUser. Anyone who can reach the endpoint then acts with that
	// user's grant, and can have them prompted at will: use it only on
	// loopback or behind an access control of your own.
	InsecureSingleUser bool

	// Store keeps grants beyond the life of the process; package [store] has some. Nil
	// means that they are kept in memory alone, and that every start of the server
	// signs in anew. What a store protects from, and what not, is in
	// docs/persistence.md.
	//
	// [store]: https://pkg.go.dev/github.com/lazyauth/mcp-lazyauth/lazyauth/store
	Store store.Store
	// UnsharedSignIns keeps sign-ins that are under way out of the Store. Otherwise the device flow's are
	// records there for as long as they last, if the store is for that ([store.SuitsFrequentWrites]: folders
	// and databases are, and keychains are not): a process that is started finds what the last one began, shows the same
	// prompt and polls on, and processes that run at the same time poll once among them. That is a write for
	// each poll, and what is written can be approved until its code ends. Of several processes whose connect page is
	// forwarded (package httpforward) the links are records there, too.
	UnsharedSignIns bool
	// Account names the account that a call is for, where one person has several:
	// [AccountFromEnv], [AccountFromArgument], [AccountFromHost], or a function of your
	// own. It is asked once the principal is known. Nil means that each has one.
	Account func(context.Context, *mcp.CallToolRequest) (string, error)
	// Token is a token that the operator gave, such as [TokenFromEnv]: the local user's
	// calls use it and nobody is asked. It is taken to have all scopes; what the API
	// refuses it, the handler sees. Nil means none.
	Token oauth2.TokenSource
	// SignInHint says who is to sign in, and how, in the redirect flow: login_hint and prompt
	// of OpenID Connect, such as the mail address that an account is named by. It is sent only
	// where no host sees it: behind a link that this program opens or hands to a program
	// ([Interceptor.Authorize]), and in a pushed request (RFC 9126). In a link that a host
	// shows there is nothing of it, since that must not have personal data in it (MCP
	// 2026-07-28 client/elicitation, "Safe URL handling"). It should return at once, and gets
	// 2 seconds. Nil means that nothing is sent.
	SignInHint func(Principal) SignInHint
	// Identify learns who signed in, once a flight; see [Service.UserInfo], which it
	// takes the place of. It should honour ctx, which ends after 10 seconds.
	Identify func(ctx context.Context, token *oauth2.Token) (Identity, error)
	// RevokeOnClose is how long [Interceptor.Close] may take to revoke the grants
	// that are in memory alone (RFC 7009); see [Interceptor.Revoke] for what that may
	// end besides. Zero means that they are forgotten, and live on until they expire.
	RevokeOnClose time.Duration

	// Unattended are ways to a grant that ask nobody, for the callers that they name: a call uses
	// the first of them that names its caller, before anybody is asked. What comes of them is
	// never stored. With a way that does not ThenAsk, VerifyUser is not needed for its callers.
	// None means that people are asked. See docs/unattended.md.
	Unattended []Unattended

	// MaxScopes is what challenges of the API may raise a grant to, beyond what
	// the tools declare and [Service].Scopes names. Whatever a challenge says,
	// no more is ever asked for. None means that the declarations are the limit.
	MaxScopes scopes.Set

	// StateKeys seal what travels through the host in revision 2026-07-28:
	// 32 random bytes each, the first seals, all open. None means a random key
	// for this process, which is right where there is one. Several behind a proxy, with
	// a Store that they share as replicas, have the same keys: a call whose
	// handler has not started goes on at any of them then, and starts once.
	StateKeys [][]byte
	// MaxCalls bounds the calls that wait for an authorization, and besides the calls of
	// revision 2026-07-28 that were answered with a prompt and can still be taken up again.
	// Further ones get [ReasonBusy], and begin nothing, until one ends or lapses. One
	// principal, with all accounts, gets a sixteenth of each at the most; the local user's
	// calls wait without a bound. A call counts as one more for each 4 KiB that it keeps in memory,
	// of arguments above all. Zero means 4096.
	MaxCalls int
	// MaxSignIns bounds the authorizations in progress in this process, which is what they cost its memory; calls that
	// need another one get [ReasonBusy] until one ends, and nothing is begun for them. Zero means 2048.
	// One principal, with all accounts, gets sixteen at the most: in all processes together if they share sign-ins by a
	// Store ([store.Fleet], [store.Processes]), and otherwise, or while that fails, in each. What a process that was
	// killed had begun counts until its code or link has ended, and a minute and a half longer; what a person has declined until its
	// code or link has, since it can be taken up till then. The local user's are bounded by each process alone.
	MaxSignIns int

	// ExperimentalDenials adds to the _meta of results what programs can read of a denial
	// ([MetaDenial]), as the draft of SEP-2643 has it: to the error results of calls whose
	// handler never began, and to the prompts for such calls in revision 2026-07-28 that show a
	// link. A later version may write another draft's, or nothing. See docs/denials.md.
	ExperimentalDenials bool

	// OpenBrowser opens a link in a browser on this machine, for hosts that do not show links
	// themselves, where [Service].Flows has FlowRedirect; [OpenBrowser] is one. The link is a
	// page of this program, on loopback, and leads to the authorization server. A call then
	// opens a window without asking first, at most one for each sign-in, and none for a minute
	// after the person has denied one. The context ends with the sign-in. It should return once
	// the browser is started, and is given 20 seconds; an error has the next flow tried, and if
	// there is none, no browser is opened for a while. Nil means that this program opens nothing.
	OpenBrowser func(ctx context.Context, link string) error

	// Transport carries all requests to the authorization server and the API.
	// Nil means a clone of [http.DefaultTransport], or that itself where a program has
	// put something else there than an [http.Transport].
	Transport http.RoundTripper
	// Trace is told what happens. Nil means that failures, and nothing else, go to
	// [slog.Default], which writes to standard error unless the program says otherwise. A
	// trace takes the place of that: [CombineTraces] with [SlogTrace] has both.
	Trace *Trace
	// Audit is told who got access, who lost it, and by whom. Nil means nobody.
	Audit *Audit

	// For tests: what takes the place of a network, and of this machine's signs of a browser.
	listen    func(ctx context.Context, network, address string) (net.Listener, error)
	noBrowser func() string
	replicas  replicas // that the store is of, before it is wrapped
}

// Format writes no key, whatever the verb.
func (o Options) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "lazyauth.Options{MaxWait: %v, InsecureSingleUser: %t, MaxScopes: %q}", o.MaxWait, o.InsecureSingleUser, o.MaxScopes)
}

func (o *Options) withDefaults() (Options, error) {
	var out Options
	if o != nil {
		out = *o
	}
	switch {
	case out.MaxWait < 0:
		return out, fmt.Errorf("lazyauth: Options.MaxWait is %v: it must not be negative", out.MaxWait)
	case out.MaxWait == 0:
		out.MaxWait = defaultMaxWait
	}
	switch {
	case out.MaxCalls < 0:
		return out, fmt.Errorf("lazyauth: Options.MaxCalls is %d: it must not be negative", out.MaxCalls)
	case out.MaxCalls == 0:
		out.MaxCalls = defaultMaxCalls
	}
	switch {
	case out.MaxSignIns < 0:
		return out, fmt.Errorf("lazyauth: Options.MaxSignIns is %d: it must not be negative", out.MaxSignIns)
	case out.MaxSignIns == 0:
		out.MaxSignIns = defaultMaxSignIns
	}
	if out.RevokeOnClose < 0 {
		return out, fmt.Errorf("lazyauth: Options.RevokeOnClose is %v: it must not be negative", out.RevokeOnClose)
	}
	if out.RevokeOnClose > 0 && out.Store != nil {
		return out, errors.New("lazyauth: Options has both a Store, to keep grants, and RevokeOnClose, to end them: set one of them")
	}
	if out.Hosts == nil {
		out.Hosts = knownHosts
	}
	out.Hosts = maps.Clone(out.Hosts)
	for name, h := range out.Hosts {
		if h.MaxWait < 0 || h.MaxWaitWithProgress < 0 {
			return out, fmt.Errorf("lazyauth: Options.Hosts[%q] has a negative duration", name)
		}
	}
	if out.Transport == nil {
		out.Transport = defaultTransport()
	}
	return out, nil
}

// defaultTransport is a clone, so that its idle connections are its own. What
// instrumentation or a mock has put into the place of the default cannot be cloned,
// and is meant to see all requests: it is used as it is.
func defaultTransport() http.RoundTripper {
	if t, ok := http.DefaultTransport.(*http.Transport); ok {
		t = t.Clone()
		t.MaxIdleConnsPerHost = max(t.MaxIdleConnsPerHost, maxPolls) // polls of many flights share a few connections
		return t
	}
	return http.DefaultTransport
}

// wording returns how prompts are put to the person behind req; nil is good, too.
func (i *Interceptor) wording(req *mcp.CallToolRequest) elicit.Wording {
	if i.options.Wording == nil || req == nil {
		return nil
	}
	return func(c elicit.Channel, p elicit.Prompt) string { return i.options.Wording(req, c, p) }
}
