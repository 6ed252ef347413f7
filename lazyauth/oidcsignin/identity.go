package oidcsignin

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
)

// Claims are what an issuer says of a person, in an ID token, an access token or an introspection response, and
// somebody has verified. Numbers may be of any type.
type Claims map[string]any

// mostClaim is how many bytes of a claim say who somebody is. OpenID Connect Core 1.0 §2 has 255 for "sub".
const mostClaim = 255

// Text returns a claim that is a text, of 255 bytes at most; any other claim is empty.
func (c Claims) Text(name string) string {
	text, _ := c[name].(string)
	if len(text) > mostClaim {
		return ""
	}
	return text
}

// An Identity makes a principal of the claims of a person, the same one of those of both sides: of the ID token of a
// sign-in at the connect page, and of the bearer token of a call. The zero value is [BySubject].
type Identity struct {
	what     string
	needs    []string // claims
	unlisted []string // of these, what servers are known to leave out of claims_supported
	of       func(Claims) (lazyauth.Principal, error)
}

// errClaims says that claims that an identity is made of are not there.
type errClaims struct{ missing []string }

func (e *errClaims) Error() string {
	return "the token lacks claims that say who it is, or has them of another kind: " + strings.Join(e.missing, ", ")
}

// BySubject compares people by issuer and subject ("iss", "sub"), for issuers at which everybody has one subject for
// all clients. At one that has another for each client ("subject_types_supported" is pairwise alone) it is an error of
// [SignIn.Check]. One that has both kinds decides by client, of which nothing can be known in advance:
// register the clients as public.
func BySubject() Identity { return Identity{} }

// ByClaim compares people by issuer and one claim that both tokens have, such as "employee_id". It has to be one that
// the issuer sets, gives to nobody else ever again, and lets nobody choose. Claims of which OpenID Connect Core 1.0
// §5.7 says that they are not that, such as "email" and "preferred_username", are an error of [New].
func ByClaim(name string) Identity {
	if name == "sub" {
		return BySubject()
	}
	return Identity{what: "claim " + name, needs: []string{"iss", name}, of: func(c Claims) (lazyauth.Principal, error) {
		return lazyauth.Principal{Issuer: c.Text("iss"), Subject: c.Text(name)}, nil
	}}
}

// ByEntra compares people of Microsoft Entra by tenant and object ("tid", "oid"), since "sub" is another one for each
// application and "iss" for each version of its tokens. The principal's Issuer is that of version 2 in either
// case. Both tokens have the claims; an ID token has "oid" for the scope profile. "iss" has to be of that tenant.
//
// Source: Microsoft, "ID token claims reference" and "Access token claims reference" (sub: "unique to a particular
// application ID"; oid: "the same value for the same user across applications"). Its metadata does not list "oid".
func ByEntra() Identity {
	return Identity{what: "tid and oid", needs: []string{"iss", "tid", "oid"}, unlisted: []string{"oid"}, of: func(c Claims) (lazyauth.Principal, error) {
		tenant, issuer := c.Text("tid"), c.Text("iss")
		u, err := url.Parse(issuer)
		if err != nil || u.Scheme != "https" || !slices.Contains(entraHosts, u.Host) || !slices.Contains(strings.Split(u.Path, "/"), tenant) || strings.ContainsFunc(tenant, notOfID) {
			return lazyauth.Principal{}, errors.New("the issuer of the token is not of the tenant that it names")
		}
		return lazyauth.Principal{Issuer: "https://login.microsoftonline.com/" + tenant + "/v2.0", Subject: c.Text("oid")}, nil
	}}
}

// entraHosts are those of the issuers of Entra, in all its clouds: of version 2, and of version 1.
var entraHosts = []string{"login.microsoftonline.com", "login.microsoftonline.us", "login.partner.microsoftonline.cn", "sts.windows.net", "sts.chinacloudapi.cn"}

// notOfID reports whether a character is in no GUID as Entra writes it.
func notOfID(r rune) bool { return (r < '0' || r > '9') && (r < 'a' || r > 'f') && r != '-' }

// By compares people by what a function makes of claims; an error, or the zero Principal, if it cannot tell. What it
// returns for two people must differ, and must be nothing that one of them can choose. It is called concurrently. Its
// description is for logs.
func By(description string, of func(Claims) (lazyauth.Principal, error)) Identity {
	if of == nil {
		of = func(Claims) (lazyauth.Principal, error) {
			return lazyauth.Principal{}, errors.New("no function was given")
		}
	}
	return Identity{what: description, of: of}
}

// bySubject reports whether pairwise subjects cannot work.
func (i Identity) bySubject() bool { return i.of == nil }

// chosen are the standard claims that people can choose or that may be given to somebody else: "other Claims such as
// email, phone_number, preferred_username, and name MUST NOT be used as unique identifiers for the End-User" (OpenID
// Connect Core 1.0 §5.7).
var chosen = []string{
	"email", "phone_number", "preferred_username", "name", "given_name", "family_name", "middle_name", "nickname",
	"profile", "picture", "website", "gender", "birthdate", "zoneinfo", "locale", "address", "upn", "unique_name",
}

func (i Identity) check() error {
	for _, name := range i.needs {
		if name == "" || slices.Contains(chosen, name) {
			return fmt.Errorf("Identity is by the claim %q, which people can choose or be given after somebody else", name)
		}
	}
	return nil
}

// String says what it goes by.
func (i Identity) String() string {
	if i.bySubject() {
		return "subject"
	}
	return i.what
}

// Of returns the principal of whoever the claims are of. They must have been verified: whoever they name is believed.
//
// Errors: claims that are missing, empty, no texts, or longer than 255 bytes; that of the function of [By].
func (i Identity) Of(c Claims) (lazyauth.Principal, error) {
	needs, of := i.needs, i.of
	if i.bySubject() {
		needs, of = []string{"iss", "sub"}, func(c Claims) (lazyauth.Principal, error) {
			return lazyauth.Principal{Issuer: c.Text("iss"), Subject: c.Text("sub")}, nil
		}
	}
	missing := slices.DeleteFunc(slices.Clone(needs), func(name string) bool { return c.Text(name) != "" })
	if len(missing) > 0 {
		return lazyauth.Principal{}, &errClaims{missing}
	}
	p, err := of(c)
	switch {
	case err != nil:
		return lazyauth.Principal{}, err
	case p.Subject == "" || len(p.Subject) > mostClaim || len(p.Issuer) > mostPublic:
		return lazyauth.Principal{}, errors.New("the principal has no subject, or a longer name than there can be")
	}
	p.Account = ""
	return p, nil
}
