package lazyauth

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/guard"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/oauth2"
)

// How long callbacks of the author's may take. One that does not return is left behind; see
// guard.Await, and docs/design.md, "Waits".
const (
	principalWait = 10 * time.Second // Options.Principal, Options.Account
	verifyWait    = 30 * time.Second // Options.VerifyUser
	identifyWait  = 10 * time.Second // Options.Identify
	tokenWait     = 15 * time.Second // Options.Token
	keysWait      = 20 * time.Second // Options.Store's Keys
	wordingWait   = 2 * time.Second  // Options.Wording, Service.Dialect
	openWait      = 20 * time.Second // Options.OpenBrowser
	// transportWait is for a request to the authorization server, which package device
	// gives less: a transport that does not heed the end of its request is left behind.
	transportWait = time.Minute
)

// callbacks are what an author has given a program of this library, made safe: whatever they
// do, the caller gets an error and goes on. They are made once, by New, so that nothing calls
// what the author gave as it is.
type callbacks struct {
	late     *guard.Late
	observer observer
}

// await is guard.Await for a callback. Its error tells in a log who failed, and nothing that
// could disturb the log.
func await[T any](ctx context.Context, c callbacks, what string, wait time.Duration, secret string, f func(context.Context) (T, error)) (T, error) {
	value, err := guard.Await(ctx, c.late, what, wait, f)
	if err != nil {
		c.failed(ctx, what, err)
		err = foreign(what, err, secret)
	}
	return value, err
}

// failed tells the trace if a callback did anything but return.
func (c callbacks) failed(ctx context.Context, what string, err error) {
	if guard.IsMishap(err) {
		c.observer.CallbackFailed(ctx, what, err)
	}
}

// wrap makes the callbacks of options and service safe.
func (c callbacks) wrap(i *Interceptor, o *Options, s *Service) {
	o.Principal = wrapOfCall(c, "Options.Principal", o.Principal)
	o.Account = wrapOfCall(c, "Options.Account", o.Account)
	if verify := o.VerifyUser; verify != nil {
		o.VerifyUser = func(ctx context.Context, who Principal, token *oauth2.Token) error {
			_, err := await(ctx, c, "Options.VerifyUser", verifyWait, token.AccessToken, func(ctx context.Context) (struct{}, error) {
				return struct{}{}, verify(ctx, who, token)
			})
			return err
		}
	}
	if identify := o.Identify; identify != nil {
		o.Identify = func(ctx context.Context, token *oauth2.Token) (Identity, error) {
			return await(ctx, c, "Options.Identify", identifyWait, token.AccessToken, func(ctx context.Context) (Identity, error) {
				return identify(ctx, token)
			})
		}
	}
	if word := o.Wording; word != nil {
		o.Wording = func(req *mcp.CallToolRequest, channel elicit.Channel, p elicit.Prompt) string {
			// An error is told to the trace; the prompt is in English then.
			said, _ := await(context.Background(), c, "Options.Wording", wordingWait, "", func(context.Context) (string, error) {
				return word(req, channel, p), nil
			})
			return said
		}
	}
	if open := o.OpenBrowser; open != nil {
		o.OpenBrowser = func(ctx context.Context, link string) error {
			_, err := await(ctx, c, "Options.OpenBrowser", openWait, link, func(context.Context) (struct{}, error) {
				return struct{}{}, open(ctx, link) // not until the wait ends: what it opens is needed for longer
			})
			return err
		}
	}
	if hint := o.SignInHint; hint != nil {
		o.SignInHint = func(who Principal) SignInHint {
			said, _ := await(context.Background(), c, "Options.SignInHint", wordingWait, "", func(context.Context) (SignInHint, error) {
				return hint(who), nil
			})
			return said
		}
	}
	if o.Store != nil {
		o.Store = guardedStore{o.Store, c}
	}
	if o.Token != nil {
		o.Token = guardedSource{o.Token, c, i}
	}
	dialect := s.Dialect
	s.Dialect = func(status int, header http.Header) (scopes.Demand, error) {
		return await(context.Background(), c, "Service.Dialect", wordingWait, "", func(context.Context) (scopes.Demand, error) {
			return dialect(status, header)
		})
	}
}

func wrapOfCall[T any](c callbacks, what string, f func(context.Context, *mcp.CallToolRequest) (T, error)) func(context.Context, *mcp.CallToolRequest) (T, error) {
	if f == nil {
		return nil
	}
	return func(ctx context.Context, req *mcp.CallToolRequest) (T, error) {
		return await(ctx, c, what, principalWait, "", func(ctx context.Context) (T, error) { return f(ctx, req) })
	}
}

// A guardedSource is the operator's token. Its source has no context to end by.
type guardedSource struct {
	next oauth2.TokenSource
	callbacks
	auth *Interceptor
}

// Token implements [oauth2.TokenSource].
func (g guardedSource) Token() (*oauth2.Token, error) {
	return await(g.auth.keeper.Context(), g.callbacks, "Options.Token", tokenWait, "", func(context.Context) (*oauth2.Token, error) {
		return g.next.Token()
	})
}

// A guardedStore is the author's. Package grants bounds the wait for Load and Update. Its
// errors are for people, too, and say what to do: they are escaped where the trace is told.
type guardedStore struct {
	next store.Store
	callbacks
}

// A storeError is one of the author's store.
type storeError struct{ err error }

func (e *storeError) Error() string { return e.err.Error() }

func (e *storeError) Unwrap() error { return e.err }

// Unwrap is for [store.IsFleet].
func (g guardedStore) Unwrap() store.Store { return g.next }

// call is guard.Call for the store.
func (g guardedStore) call(ctx context.Context, f func() error) error {
	defer g.late.During(theStore)()
	err := guard.Call(theStore, f)
	g.failed(ctx, theStore, err)
	if err == nil || guard.IsMishap(err) {
		return err
	}
	return &storeError{err}
}

const theStore = "the store"

// Load implements [store.Store].
func (g guardedStore) Load(ctx context.Context, key string) (record []byte, err error) {
	err = g.call(ctx, func() (err error) {
		record, err = g.next.Load(ctx, key)
		return err
	})
	return record, err
}

// Update implements [store.Store].
func (g guardedStore) Update(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
	return g.call(ctx, func() error { return g.next.Update(ctx, key, change) })
}

// Keys implements [store.Store].
func (g guardedStore) Keys(ctx context.Context) ([]string, error) {
	type keys struct {
		list []string
		err  error // beside which there may be keys
	}
	all, err := guard.Await(ctx, g.late, theStore+"'s Keys", keysWait, func(ctx context.Context) (keys, error) {
		list, err := g.next.Keys(ctx)
		return keys{list, err}, nil
	})
	if err != nil {
		g.failed(ctx, theStore, err)
		all.err = err
	}
	return all.list, all.err
}

// String implements [store.Store].
func (g guardedStore) String() string {
	name := "of an unknown kind"
	_ = g.call(context.Background(), func() error {
		name = g.next.String()
		return nil
	})
	return escaped(name, maxForeignText)
}

// A guardedTransport carries requests to the API, whose wait is their handler's own.
type guardedTransport struct {
	next http.RoundTripper
	callbacks
}

const theTransport = "Options.Transport"

var errNoResponse = errors.New("lazyauth: Options.Transport returned neither a response nor an error")

// RoundTrip implements [http.RoundTripper].
func (g guardedTransport) RoundTrip(req *http.Request) (res *http.Response, err error) {
	defer func() {
		if v := recover(); v != nil {
			res, err = nil, guard.Caught(theTransport, v)
			g.failed(req.Context(), theTransport, err)
		}
	}()
	res, err = g.next.RoundTrip(req)
	switch {
	case err != nil:
		return nil, err
	case res == nil:
		return nil, errNoResponse
	case res.Body == nil:
		res.Body = http.NoBody
	}
	return res, nil
}

// An awaitedTransport carries requests to the authorization server, for which calls wait: it
// returns when the request's context has ended, with the body as far as it is read.
type awaitedTransport struct {
	guardedTransport
}

// mostRead is more than this library reads of an answer.
const mostRead = 128 << 10

// RoundTrip implements [http.RoundTripper].
func (a awaitedTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	return guard.Await(req.Context(), a.late, theTransport, transportWait, func(context.Context) (*http.Response, error) {
		res, err := a.guardedTransport.RoundTrip(req)
		if err != nil {
			return nil, err
		}
		defer res.Body.Close()
		text, err := io.ReadAll(io.LimitReader(res.Body, mostRead))
		read := *res
		read.Body = io.NopCloser(io.MultiReader(strings.NewReader(string(text)), ending{err}))
		return &read, nil
	})
}

// ending is the end of a body that was read already.
type ending struct{ err error }

func (e ending) Read([]byte) (int, error) {
	if e.err != nil {
		return 0, e.err
	}
	return 0, io.EOF
}

// A foreignError is an error of a callback as operators see it: who wrote it may have
// quoted a server, so its text appears escaped and shortened. What it wraps is as it was.
type foreignError struct {
	text string
	err  error
}

func (e *foreignError) Error() string { return e.text }

func (e *foreignError) Unwrap() error { return e.err }

// foreign returns err, of a callback, with a text that is fit for a log, and does not
// contain the secret that the callback was given.
func foreign(what string, err error, secret string) error {
	if err == nil {
		return nil
	}
	if _, ok := err.(configuration); ok || guard.IsMishap(err) { //nolint:errorlint // it itself
		return err
	}
	text := err.Error()
	if secret != "" { // as it is, or in the address of a request
		text = strings.NewReplacer(secret, "[secret]", url.QueryEscape(secret), "[secret]", url.PathEscape(secret), "[secret]").Replace(text)
	}
	return &foreignError{what + ": " + escaped(text, maxForeignText), err}
}

// How long a text of others may be in a log. Stores say what to do, with paths in it.
const (
	maxForeignText = 200
	maxStoreText   = 1000
)

// escaped returns a text of others on one line of ASCII, quoted if it was anything else, and
// without its middle if it is long: the end of an error says what was the matter.
func escaped(text string, most int) string {
	if len(text) > most {
		text = text[:most-50] + "…" + text[len(text)-50:]
	}
	if quoted := strconv.QuoteToASCII(text); quoted != `"`+text+`"` {
		return quoted
	}
	return text
}
