package lazyauth

import (
	"context"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// principal tells whose call req is, or refuses it. Its rules decide who may
// use whose grant: see docs/design.md, "Principals".
func (i *Interceptor) principal(ctx context.Context, req *mcp.CallToolRequest) (Principal, error) {
	var who Principal
	switch {
	case i.options.Principal != nil:
		var err error
		if who, err = i.options.Principal(ctx, req); err != nil {
			return who, i.fail(Anonymous, err)
		}
	case i.options.SingleUser:
	case req.Extra == nil:
		// stdio, in memory, or the SDK's old SSE handler, which looks the
		// same and serves many people: the first session is the local user's,
		// and any other is refused.
		if !i.session.CompareAndSwap(nil, req.Session) && i.session.Load() != req.Session {
			return who, i.fail(Anonymous, errSecondSession)
		}
	default:
		if info := req.Extra.TokenInfo; info != nil {
			who.Subject = info.UserID
			who.Issuer, _ = info.Extra["iss"].(string)
		}
		if who.Subject == "" {
			return who, i.fail(Anonymous, errNoUser)
		}
	}
	if who.Subject == "" && who.Issuer != "" { // nobody in particular
		return who, i.fail(Anonymous, errNoUser)
	}
	if !who.IsLocal() && i.options.VerifyUser == nil {
		return who, i.fail(Unverified, errNoVerifyUser)
	}
	return who, nil
}

// owner returns the resource owner of the principal behind req.
func (i *Interceptor) owner(ctx context.Context, req *mcp.CallToolRequest) (*person, error) {
	if i.options.Principal == nil && i.options.Account == nil && req.Extra == nil && i.session.Load() == req.Session {
		return i.local, nil // the usual stdio server, without a detour
	}
	who, err := i.principal(ctx, req)
	if err == nil && i.options.Account != nil {
		if who.Account, err = i.options.Account(ctx, req); err == nil {
			err = checkAccount(who.Account)
		}
		if err != nil {
			err = i.fail(Anonymous, err)
		}
	}
	if err != nil {
		reason, cause := causeOf(err)
		i.emit(onFailed, Event{Principal: who, Tool: req.Params.Name, Reason: reason, Err: cause})
		return nil, err
	}
	return i.ownerOf(who), nil
}

func (i *Interceptor) ownerOf(who Principal) *person {
	if (who == Principal{}) {
		return i.local
	}
	if o, ok := i.owners.Load(who); ok {
		return o.(*person)
	}
	o, _ := i.owners.LoadOrStore(who, newPerson(i.keeper, who))
	return o.(*person)
}

func clientOf(req *mcp.CallToolRequest, who Principal) client {
	if req.Extra != nil && (req.Session == nil || elicit.Modern(req.Params.Meta) || req.Session.ID() == "") {
		return who // stateless HTTP: a session is one request
	}
	return req.Session
}

// checkAccount reports whether text can name an account.
func checkAccount(text string) error {
	if utf8.RuneCountInString(text) > maxAccount || !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return errAccount
	}
	return nil
}
