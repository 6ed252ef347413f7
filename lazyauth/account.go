package lazyauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/oauth2"
)

// maxForeignText is the length of the longest text of others in a log.
const maxForeignText = 200

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
// have letters, digits and ". _ @ + -" only, so that they cannot pass for a part of the
// prompt. The person should see which account was used ([MetaAccount]), and tools with
// side effects should say it in their result.
func AccountFromArgument(name string) func(context.Context, *mcp.CallToolRequest) (string, error) {
	return func(_ context.Context, req *mcp.CallToolRequest) (string, error) {
		var arguments map[string]json.RawMessage
		var account string
		if len(req.Params.Arguments) > 0 {
			if err := json.Unmarshal(req.Params.Arguments, &arguments); err != nil {
				return "", errors.New("the arguments must be an object")
			}
		}
		if chosen := arguments[name]; chosen != nil {
			if err := json.Unmarshal(chosen, &account); err != nil {
				return "", fmt.Errorf("the argument %q must be the name of an account", name)
			}
			if strings.ContainsFunc(account, func(r rune) bool {
				return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("._@+-", r)
			}) {
				return "", errChosen
			}
		}
		return account, nil
	}
}

// AccountOfHost is an Options.Account that keeps the grants of different hosts apart, by
// the name in their clientInfo: signing in from one gives nothing to the others, and
// logging out of one leaves them alone. The person signs in once for each. It is no
// protection: a host can call itself anything.
func AccountOfHost(_ context.Context, req *mcp.CallToolRequest) (string, error) {
	info := req.ClientInfo()
	if info == nil {
		return "", nil
	}
	// What cannot be an account's name is no reason to refuse the call.
	name := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, info.Name)
	if n := utf8.RuneCountInString(name); n > maxAccount {
		name = string([]rune(name)[:maxAccount])
	}
	return name, nil
}

// checkAccount reports whether text can name an account.
func checkAccount(text string) error {
	if utf8.RuneCountInString(text) > maxAccount || !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return errAccount
	}
	return nil
}

// envToken is the source of a token in the environment, or nil.
func envToken(name string) oauth2.TokenSource {
	if token := strings.TrimSpace(os.Getenv(name)); token != "" {
		return oauth2.StaticTokenSource(&oauth2.Token{AccessToken: token})
	}
	return nil
}

// storeKey is the key of somebody's grant in a store: the service, who vouches for them,
// who they are, and the account. Quoted, so that nothing in it can be read in two ways.
// The parameters are part of the service: a resource or an audience makes its tokens good
// for something else (RFC 8707).
func (s *Service) storeKey(who Principal) string {
	fields := []string{s.issuerName(), s.ClientID, s.Params.Encode(), who.Issuer, who.Subject, who.Account}
	for n, f := range fields {
		fields[n] = strconv.QuoteToASCII(f)
	}
	return strings.Join(fields, " ")
}

// ofKey is the inverse of storeKey; false if the key is another service's.
func (s *Service) ofKey(key string) (Principal, bool) {
	var fields []string
	for key != "" {
		quoted, err := strconv.QuotedPrefix(key)
		if err != nil {
			return Principal{}, false
		}
		field, err := strconv.Unquote(quoted)
		if err != nil || strings.ContainsFunc(field, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return Principal{}, false // not for a list that people read
		}
		fields = append(fields, field)
		key = strings.TrimPrefix(key[len(quoted):], " ")
	}
	if len(fields) != 6 || fields[0] != s.issuerName() || fields[1] != s.ClientID || fields[2] != s.Params.Encode() {
		return Principal{}, false
	}
	return Principal{Issuer: fields[3], Subject: fields[4], Account: fields[5]}, true
}

// Accounts returns who has a grant of the service, in this process or in the store, in a
// fixed order.
func (i *Interceptor) Accounts(ctx context.Context) (all []Principal, err error) {
	add := func(o *owner) {
		if g := o.grant.Load(); g != nil && !slices.Contains(all, o.principal) {
			all = append(all, o.principal)
		}
	}
	add(i.local)
	i.owners.Range(func(_, o any) bool {
		add(o.(*owner))
		return true
	})
	if i.options.Store != nil {
		keys, failed := i.options.Store.Keys(ctx)
		err = failed
		for _, key := range keys {
			if who, ok := i.service.ofKey(key); ok && !slices.Contains(all, who) {
				all = append(all, who)
			}
		}
	}
	slices.SortFunc(all, func(a, b Principal) int { return strings.Compare(a.key(), b.key()) })
	return all, err
}

// errConfiguredToken is the cause of a failure to get the operator's token. The source may
// quote a server, so its text appears escaped and shortened.
type errConfiguredToken struct{ err error }

func (e errConfiguredToken) Error() string {
	text := e.err.Error()
	if len(text) > maxForeignText {
		text = text[:maxForeignText] + "…"
	}
	return "Options.Token: " + strconv.QuoteToASCII(text)
}
func (e errConfiguredToken) Unwrap() error { return e.err }

var errTokenRefused = errors.New("lazyauth: the API refused the operator's token")
