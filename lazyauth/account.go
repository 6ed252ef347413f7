package lazyauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/lazyauth/mcp-lazyauth/internal/names"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/oauth2"
)

// maxAccount is the length of the longest account name, in characters.
const maxAccount = 64

// AccountFromEnv returns an Options.Account for servers whose operator chooses the
// account, by an environment variable of this name. It is read once, now.
func AccountFromEnv(name string) func(context.Context, *mcp.CallToolRequest) (string, error) {
	account := os.Getenv(name)
	return func(context.Context, *mcp.CallToolRequest) (string, error) { return account, nil }
}

// AccountFromArgument returns an Options.Account for tools that take the account as an
// argument of this name, which must be text; calls without it use the account without
// a name. The model chooses then, and what it chooses stands in the prompt: such names
// have letters with their marks, digits and ". _ @ + -" only, so that they cannot pass for a part of the
// prompt. The person should see which account was used ([MetaAccount]), and tools with
// side effects should say it in their result.
//
// A tool whose input schema has no such argument is a likely mistake, which [Trace.Warned]
// is told when the tool is registered with [AddTool], or first called through
// [Interceptor.Intercept].
func AccountFromArgument(name string) func(context.Context, *mcp.CallToolRequest) (string, error) {
	return accountArgument(name).account
}

// accountArgument is the name of an argument that names the account.
type accountArgument string

// account implements Options.Account. Without a request it tells the argument's name.
func (a accountArgument) account(_ context.Context, req *mcp.CallToolRequest) (string, error) {
	if req == nil {
		return string(a), nil
	}
	var arguments map[string]json.RawMessage
	var account string
	if len(req.Params.Arguments) > 0 {
		if err := json.Unmarshal(req.Params.Arguments, &arguments); err != nil {
			return "", errors.New("the arguments must be an object")
		}
	}
	if chosen := arguments[string(a)]; chosen != nil {
		if err := json.Unmarshal(chosen, &account); err != nil {
			return "", fmt.Errorf("the argument %q must be the name of an account", string(a))
		}
		if strings.ContainsFunc(account, func(r rune) bool {
			return !unicode.In(r, unicode.L, unicode.M, unicode.Nd) && !names.IsInvisible(r) && !strings.ContainsRune("._@+-", r)
		}) {
			return "", errChosen
		}
	}
	return account, nil
}

// argumentOf returns the argument that names the account, if account comes from
// [AccountFromArgument]; empty otherwise. Functions cannot be compared, but the code of this
// one method can be told from all others.
func argumentOf(account func(context.Context, *mcp.CallToolRequest) (string, error)) string {
	if account == nil || reflect.ValueOf(account).Pointer() != reflect.ValueOf(accountArgument("").account).Pointer() {
		return ""
	}
	name, _ := account(context.Background(), nil) // no error without a request
	return name
}

// warnOfArgument tells, once a tool, that its calls cannot name an account, if its input
// schema says so: it has neither the argument nor room for what it does not name.
func warnOfArgument(i *Interceptor, tool string, inputSchema any) {
	if i.argument == "" || i.observer.trace.Warned == nil {
		return
	}
	var schema struct {
		Properties map[string]json.RawMessage `json:"properties"`
		Additional json.RawMessage            `json:"additionalProperties"`
	}
	raw, err := json.Marshal(inputSchema)
	if err != nil || json.Unmarshal(raw, &schema) != nil {
		return // it is not for us to judge
	}
	if _, has := schema.Properties[i.argument]; has || len(schema.Properties) == 0 && len(schema.Additional) == 0 {
		return
	}
	if _, told := i.warned.LoadOrStore(tool, struct{}{}); told {
		return
	}
	emit(context.Background(), i.observer.trace.Warned, WarnedInfo{
		About: About{Service: i.service.Name, Tool: tool, alone: true},
		Err:   fmt.Errorf("lazyauth: the input schema of tool %+q has no argument %+q, by which Options.Account has calls name an account, so that its calls use the account without a name: add the argument to the tool's input, or name the right one in AccountFromArgument", tool, i.argument),
	})
}

// AccountFromHost returns an Options.Account that keeps the grants of different hosts apart, by
// the name in their clientInfo: signing in from one gives nothing to the others, and
// logging out of one leaves them alone. The person signs in once for each. It is no
// protection: a host can call itself anything.
func AccountFromHost() func(context.Context, *mcp.CallToolRequest) (string, error) {
	return hostAccount
}

func hostAccount(_ context.Context, req *mcp.CallToolRequest) (string, error) {
	info := req.ClientInfo()
	if info == nil {
		return "", nil
	}
	// What cannot be an account's name is no reason to refuse the call.
	name := strings.Map(func(r rune) rune {
		if !names.Allowed(r) {
			return -1
		}
		return r
	}, info.Name)
	if n := utf8.RuneCountInString(name); n > maxAccount {
		name = string([]rune(name)[:maxAccount])
	}
	if !names.Check(name) {
		return "", nil
	}
	return name, nil
}

// envToken is the source of a token in the environment, or nil.
func envToken(name string) oauth2.TokenSource {
	if token := strings.TrimSpace(os.Getenv(name)); token != "" {
		return oauth2.StaticTokenSource(&oauth2.Token{AccessToken: token})
	}
	return nil
}

// Accounts returns who has a grant of the service, in this process or in the store, in a
// fixed order.
func (i *Interceptor) Accounts(ctx context.Context) ([]Principal, error) {
	return accountsBy(ctx, i, allKeys)
}

// allKeys lists the keys of the store.
func allKeys(ctx context.Context, i *Interceptor) ([]string, error) { return i.options.Store.Keys(ctx) }

// accountsBy returns who has a grant in this process, or a record among these keys of the store, in
// a fixed order.
func accountsBy(ctx context.Context, i *Interceptor, keysOf func(context.Context, *Interceptor) ([]string, error)) (all []Principal, err error) {
	for o := range i.keeper.Owners {
		if who := Principal(o.Who()); o.Grant() != nil && !slices.Contains(all, who) {
			all = append(all, who)
		}
	}
	if i.options.Store != nil {
		keys, failed := keysOf(ctx, i)
		err = failed
		for _, key := range keys {
			if who, ok := i.service.ofKey(key); ok && !slices.Contains(all, who) {
				all = append(all, who)
			}
		}
	}
	slices.SortFunc(all, func(a, b Principal) int { return strings.Compare(grants.Principal(a).Key(), grants.Principal(b).Key()) })
	return all, err
}

// TokenFromEnv returns the token in the environment variable of this name, for
// [Options.Token]; nil if the variable is not set or empty.
func TokenFromEnv(name string) oauth2.TokenSource { return envToken(name) }

// ErrNoGrant means that the principal has no grant. Functions of an [Unattended] return it, wrapped
// or not, for callers for whom they have none.
var ErrNoGrant = errors.New("lazyauth: there is no grant")

// Status returns what access who has, in this process or in the store; [ErrNoGrant] if
// none. What the person gave comes before what was got without them, of which there may be
// several: then it is that of the latest call. It asks nobody, and refreshes nothing.
func (i *Interceptor) Status(ctx context.Context, who Principal) (*Status, error) {
	g, err := lookedUp(ctx, i, who)
	switch {
	case err != nil:
		return nil, err
	case g == nil:
		return nil, ErrNoGrant
	}
	return &Status{
		Principal: who, Identity: Identity(g.Identity()), Scopes: g.Scopes(), Expires: g.Token().Expiry,
		Renewable: g.Renewable(), Configured: g.Operators(), Unattended: g.Source(),
		ID: g.ID(), Since: g.Since(), Renewed: g.Renewed(), Hosts: g.Hosts(),
	}, nil
}

// lookedUp returns the grant that [Interceptor.Status] is about; nil if there is none.
func lookedUp(ctx context.Context, i *Interceptor, who Principal) (*grants.Grant, error) {
	g, err := i.personOf(who).Look(ctx)
	if err != nil {
		return nil, i.explain(err, nil, nil, nil)
	}
	if g == nil {
		g = i.standIns.grant(who)
	}
	return g, nil
}

// Revoke logs who out: their grant is forgotten here and in the store, whatever comes
// then, and the authorization server is told to end its tokens (RFC 7009). Other
// accounts keep theirs. Calls under way may go on with a token they have in hand; what
// they ask for afterwards needs a new sign-in.
//
// What the server ends besides is its own choice: on some, all tokens that the person
// gave in the same browser session, those of other programs with this client identifier
// among them. A server without a revocation endpoint ends nothing, which is an error
// that wraps [ErrNotRevoked]; so does any other failure to end the tokens. ctx bounds
// the requests.
//
// What was got without the person ([Options].Unattended) is forgotten here, and not revoked;
// the next call gets it anew as long as its caller's own token is good.
//
// Logging out a principal without a grant is no error. A sign-in that is under way for them ends, and its
// calls fail; but for the local user's, which ends with the grant alone that it has brought.
// Other processes that share the store give up the grant within half a minute, and what is under way
// there does not bring it back; an error can say that they may not know.
func (i *Interceptor) Revoke(ctx context.Context, who Principal) error {
	return endOne(ctx, i, who, ender{by: ByPerson})
}

// endOne is [Interceptor.Revoke], by whomever.
func endOne(ctx context.Context, i *Interceptor, who Principal, by ender) error {
	defer i.observer.changes.note(grants.Principal(who)) // once it is out of the store, too
	var had *Status
	if i.observer.audit != nil {
		had, _ = i.Status(ctx, who) // before it is gone; Forget tells what cannot be read
	}
	i.standIns.forget(who)
	p := grants.Principal(who)
	owner := i.keeper.Owner(p)
	var err error
	if p.IsLocal() { // for whom it is about what there was, and not about the prompt that they read
		err = owner.Forget(ctx)
	} else {
		had := grants.End(owner, grants.ErrLoggedOut)
		// Before it is gone, for what ends with a grant just now; and after, for who looks whether it is.
		err = i.persons.book.Ended(ctx, personOfPrincipal(p), p.Account, false)
		err = errors.Join(err, grants.ForgetEnded(ctx, owner, had))
		err = errors.Join(err, i.persons.book.Ended(ctx, personOfPrincipal(p), p.Account, false))
	}
	if had != nil {
		i.observer.audit.ended(ctx, *had, by)
	}
	return err
}
