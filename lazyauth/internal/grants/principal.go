package grants

import "strconv"

// A Principal is whose grant it is: see lazyauth.Principal, which has the same fields.
type Principal struct {
	Issuer  string // of the subject
	Subject string
	Account string // one of several of the same person
}

// IsLocal reports whether p is the local user, with whatever account.
func (p Principal) IsLocal() bool { return p.Issuer == "" && p.Subject == "" }

// Person returns p without the account: who shares what is bounded for each person.
func (p Principal) Person() Principal { return Principal{Issuer: p.Issuer, Subject: p.Subject} }

// Key encodes p unambiguously.
func (p Principal) Key() string {
	return strconv.Itoa(len(p.Issuer)) + ":" + p.Issuer + strconv.Itoa(len(p.Subject)) + ":" + p.Subject + p.Account
}
