package grants

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/lazyauth/mcp-lazyauth/internal/names"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// recordVersion is that of the records written here. A later one that cannot be read by
// this program gets another number, and is left alone.
const recordVersion = 1

// maxRecord bounds what is decoded: two tokens and the scopes that a server may grant, each
// byte of which JSON may write as six.
const maxRecord = 1 << 20

// errForeign: the record is another program's, and not to be touched.
var errForeign = errors.New("lazyauth: the stored grant was written by another version")

// A record is a grant as it is stored.
type record struct {
	Version   int       `json:"v"`
	Access    string    `json:"access"`
	Refresh   string    `json:"refresh,omitempty"`
	Client    string    `json:"client,omitempty"`       // the id of the client that it was given to
	Secret    bool      `json:"confidential,omitempty"` // that client has a secret, which is not here
	Expires   time.Time `json:"expires,omitzero"`
	Scopes    string    `json:"scopes"`
	Asked     string    `json:"asked,omitempty"` // what the program that signed in asked for
	Whole     string    `json:"whole,omitempty"` // what a refresh may bring, if that is more
	Refreshed bool      `json:"renewed,omitempty"`
	Identity  Identity  `json:"identity,omitzero"`
	ID        string    `json:"id,omitempty"`   // empty, as is Since, in records of earlier programs
	Since     time.Time `json:"since,omitzero"` // when the person gave it
	Renewed   time.Time `json:"renewedAt,omitzero"`
	Hosts     []string  `json:"hosts,omitempty"` // see Grant.Hosts
}

func (g *Grant) encode() []byte {
	text, err := json.Marshal(record{
		Version: recordVersion, Access: g.token.AccessToken, Refresh: g.refresh, Client: g.client.id, Secret: g.client.confidential, Expires: g.token.Expiry.Round(0),
		Scopes: g.scopes.String(), Asked: g.asked.String(), Whole: g.whole.String(), Refreshed: g.refreshed, Identity: g.identity,
		ID: g.id, Since: g.since.Round(0), Renewed: g.renewed.Round(0), Hosts: g.hosts,
	})
	if err != nil {
		panic(err) // text, a time and a flag
	}
	return text
}

// id returns the record's id, if it can be one.
func (r *record) id() string {
	if len(r.ID) > 64 || !names.Check(r.ID) {
		return ""
	}
	return r.ID
}

// decode reads a stored grant. Its errors quote nothing of the record.
func decode(order *scopes.Hierarchy, declared func() scopes.Set, text []byte) (*Grant, error) {
	if len(text) > maxRecord {
		return nil, errors.New("lazyauth: the stored grant is too long to be one")
	}
	var r record
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, errors.New("lazyauth: the stored grant is not JSON")
	}
	if r.Version != recordVersion {
		return nil, fmt.Errorf("%w: it has version %d, and this program reads %d", errForeign, r.Version, recordVersion)
	}
	token := &oauth.Token{Access: r.Access, Refresh: r.Refresh, ClientID: r.Client, Confidential: r.Secret, Expires: r.Expires}
	if err := token.Scopes.UnmarshalText([]byte(r.Scopes)); err != nil {
		return nil, errors.New("lazyauth: the stored grant names scopes that are none")
	}
	if err := token.Check(); err != nil {
		return nil, errors.New("lazyauth: the stored grant has a token that cannot be sent")
	}
	asked, whole := declared(), scopes.Set{} // where it does not say
	if r.Asked != "" && asked.UnmarshalText([]byte(r.Asked)) != nil || whole.UnmarshalText([]byte(r.Whole)) != nil {
		return nil, errors.New("lazyauth: the stored grant names scopes that are none")
	}
	g := newGrant(order, token, r.Refreshed)
	g.identity, _ = r.Identity.Shown()
	g.asked, g.whole = asked, whole
	g.id, g.since, g.renewed, g.hosts = r.id(), r.Since, r.Renewed, withHosts(nil, r.Hosts...)
	g.stored.Store(true)
	return g, nil
}
