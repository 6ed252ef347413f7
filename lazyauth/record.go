package lazyauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// A GrantStore keeps grants beyond the life of a process. Package [store] has some; a
// record of one is opaque bytes that hold tokens, a few KiB at the most, under a key of
// printable text, at most 1 KiB long. Its methods are safe for concurrent use.
//
// [store]: https://pkg.go.dev/github.com/lazyauth/mcp-lazyauth/lazyauth/store
type GrantStore interface {
	// Load returns the record of key, or nil if there is none.
	Load(ctx context.Context, key string) ([]byte, error)
	// Update replaces the record of key by what change returns for the present one; nil
	// stands for none, and returning nil deletes. Whoever else updates the same key
	// waits meanwhile, in this process and in all others that share the store; change
	// may take the seconds that a network needs. If change fails nothing is written, and
	// its error is returned as it is. When Update returns nil the new record is durable.
	Update(ctx context.Context, key string, change func(old []byte) (record []byte, err error)) error
	// Keys lists the keys that have records.
	Keys(ctx context.Context) ([]string, error)
	// String says for people where grants are kept: "in the keychain".
	String() string
}

// recordVersion is that of the records written here. A later one that cannot be read by
// this program gets another number, and is left alone.
const recordVersion = 1

// maxRecord bounds what is decoded.
const maxRecord = 64 << 10

// errForeign: the record is another program's, and not to be touched.
var errForeign = errors.New("lazyauth: the stored grant was written by another version")

// A record is a grant as it is stored.
type record struct {
	Version  int       `json:"v"`
	Access   string    `json:"access"`
	Refresh  string    `json:"refresh,omitempty"`
	Expires  time.Time `json:"expires,omitzero"`
	Scopes   string    `json:"scopes"`
	Renewed  bool      `json:"renewed,omitempty"`
	Identity Identity  `json:"identity,omitzero"`
}

func (g *grant) encode() []byte {
	text, err := json.Marshal(record{
		Version: recordVersion, Access: g.token.AccessToken, Refresh: g.refresh, Expires: g.token.Expiry.Round(0),
		Scopes: g.scopes.String(), Renewed: g.renewed, Identity: g.identity,
	})
	if err != nil {
		panic(err) // text, a time and a flag
	}
	return text
}

// decode reads a stored grant. Its errors quote nothing of the record.
func (i *Interceptor) decode(text []byte) (*grant, error) {
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
	token := &device.Token{Access: r.Access, Refresh: r.Refresh, Expires: r.Expires}
	var err error
	if token.Scopes, err = scopes.Parse(r.Scopes); err != nil {
		return nil, errors.New("lazyauth: the stored grant names scopes that are none")
	}
	if err := token.Check(); err != nil {
		return nil, errors.New("lazyauth: the stored grant has a token that cannot be sent")
	}
	if r.Identity.check() != nil {
		r.Identity = Identity{}
	}
	g := i.newGrant(token, r.Renewed)
	g.identity = r.Identity
	g.kept = true
	return g, nil
}
