package lazyauth

import (
	"context"
	"unicode/utf8"

	"github.com/lazyauth/mcp-lazyauth/internal/names"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/asking"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
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
			return who, i.fail(ReasonAnonymous, err)
		}
	case i.options.InsecureSingleUser:
	case req.Extra == nil:
		// The first local session is the local user's, and any other is refused: they may
		// be several people's, behind a transport that hides it.
		if i.session.Load() != req.Session && !isLocal(ctx, req.Session) {
			return who, i.fail(ReasonAnonymous, errNotLocal)
		}
		if !i.session.CompareAndSwap(nil, req.Session) && i.session.Load() != req.Session {
			return who, i.fail(ReasonAnonymous, errSecondSession)
		}
	default:
		if info := req.Extra.TokenInfo; info != nil {
			who.Subject = info.UserID
			who.Issuer, _ = info.Extra["iss"].(string)
		}
		if who.Subject == "" {
			return who, i.fail(ReasonAnonymous, errNoUser)
		}
	}
	if who.Subject == "" && who.Issuer != "" { // no person in particular
		return who, i.fail(ReasonAnonymous, errNoUser)
	}
	return who, nil
}

// mayAsk returns why a principal must not be asked, if they must not: anybody can approve a
// code, and nothing would tell whose grant it is. By way of a connect page that can be told; whether a
// grant came by it is seen when it comes.
func (i *Interceptor) mayAsk(who Principal) error {
	if !who.IsLocal() && i.options.VerifyUser == nil && i.service.ConnectPage == nil {
		return i.fail(ReasonUnverified, errNoVerifyUser)
	}
	return nil
}

// person returns who can be asked for the grant of the principal behind req, and who stands in
// for them before they are, nil if nobody does.
func (i *Interceptor) person(ctx context.Context, req *mcp.CallToolRequest) (*asking.Person, *standIn, error) {
	if i.options.Principal == nil && i.options.Account == nil && len(i.standIns.ways) == 0 && req.Extra == nil && i.session.Load() == req.Session {
		return i.local, nil, nil // the usual stdio server, without a detour
	}
	who, err := i.principal(ctx, req)
	if err == nil && i.options.Account != nil {
		if who.Account, err = i.options.Account(ctx, req); err == nil {
			err = checkAccount(who.Account)
		}
		if err != nil {
			err = i.fail(ReasonAnonymous, err)
		}
	}
	var s *standIn
	if err == nil {
		if s = i.standIns.of(who, req); s == nil || s.thenAsk {
			err = i.mayAsk(who)
		}
	}
	if err != nil {
		reason, cause := causeOf(err)
		i.observer.failed(ctx, grants.Principal(who), req.Params.Name, reason, cause)
		return nil, nil, err
	}
	return i.personOf(who), s, nil
}

func (i *Interceptor) personOf(who Principal) *asking.Person {
	return i.people.Person(grants.Principal(who))
}

// checkAccount reports whether text can name an account.
func checkAccount(text string) error {
	if utf8.RuneCountInString(text) > maxAccount || !names.Check(text) {
		return errAccount
	}
	return nil
}
