package pending

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// recordVersion is that of the records written here. One of another version is left alone.
const recordVersion = 1

const (
	maxRecord   = 256 << 10 // of what is decoded, in bytes
	maxText     = 2048      // of an endpoint or a client's id
	maxDeclines = 8
)

var (
	errForeign    = errors.New("lazyauth: what the store has of a sign-in under way was written by another version")
	errUnreadable = errors.New("lazyauth: what the store has of a sign-in under way cannot be read")
)

// A record is what the store has under one key.
type record struct {
	Version int `json:"v"`

	// Of the flight, if there is one.
	ID       string        `json:"id,omitempty"`
	Asker    asker         `json:"asker,omitzero"`
	Code     *device.Saved `json:"code,omitempty"` // also when the token has come: it has the prompt
	By       string        `json:"by,omitempty"`   // whose turn it is, or who brings the grant; empty: anybody
	Grant    *grant        `json:"grant,omitempty"`
	Over     *over         `json:"over,omitempty"`
	Declines []decline     `json:"declines,omitempty"`
	Place    string        `json:"place,omitempty"` // of a Share, to be given back; an older release drops it, and it ends by itself

	Page *Link `json:"page,omitempty"` // that of a page of this program, if there is one
}

// An asker says who has asked for the code, and where: nobody else can poll for it.
type asker struct {
	Issuer string `json:"issuer,omitempty"`
	Device string `json:"device"`
	Token  string `json:"token"`
	Client string `json:"client"`
}

func askerOf(c *oauth.Client) asker {
	e := c.Endpoints()
	return asker{e.Issuer, e.DeviceAuthorization, e.Token, c.ClientID()}
}

// A grant is the token that a poll has brought.
type grant struct {
	Access       string     `json:"access"`
	Refresh      string     `json:"refresh,omitempty"`
	Expires      time.Time  `json:"expires,omitzero"`
	Scopes       scopes.Set `json:"scopes"`
	Missing      scopes.Set `json:"missing"`
	Client       string     `json:"client,omitempty"`
	Confidential bool       `json:"confidential,omitempty"`

	Got   time.Time `json:"got"`   // when it came
	Until time.Time `json:"until"` // until when it is By's to bring
}

func grantOf(t *oauth.Token, now time.Time) *grant {
	return &grant{
		Access: t.Access, Refresh: t.Refresh, Expires: t.Expires.Round(0), Scopes: t.Scopes, Missing: t.Missing,
		Client: t.ClientID, Confidential: t.Confidential, Got: now.Round(0), Until: now.Add(bringWithin).Round(0),
	}
}

func (g *grant) token() *oauth.Token {
	return &oauth.Token{
		Access: g.Access, Refresh: g.Refresh, Type: "Bearer", Expires: g.Expires, Scopes: g.Scopes, Missing: g.Missing,
		ClientID: g.Client, Confidential: g.Confidential,
	}
}

// A decline is a person's, by one program.
type decline struct {
	Program string    `json:"program"` // a hash of what it calls itself
	At      time.Time `json:"at"`
}

// programHash stands for what a program calls itself, which is anybody's text.
func programHash(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:16])
}

// decode reads a record; nil stands for one that says nothing. Its errors quote nothing of it.
func decode(text []byte) (*record, error) {
	r := &record{Version: recordVersion}
	if text == nil {
		return r, nil
	}
	if len(text) > maxRecord || json.Unmarshal(text, r) != nil {
		return nil, errUnreadable
	}
	if r.Version != recordVersion {
		return nil, errForeign
	}
	if !r.isSound() {
		return nil, errUnreadable
	}
	return r, nil
}

// isSound reports whether the parts of the record are within bounds and go together. What is in
// its code is checked by whoever resumes that.
func (r *record) isSound() bool {
	for _, text := range []string{r.ID, r.Asker.Issuer, r.Asker.Device, r.Asker.Token, r.Asker.Client, r.By, r.Place} {
		if len(text) > maxText {
			return false
		}
	}
	switch {
	case len(r.Declines) > maxDeclines, r.Page != nil && !r.Page.isSound():
		return false
	case r.ID == "":
		return r.Code == nil && r.Grant == nil && r.Over == nil
	case r.Over != nil:
		return r.Grant == nil && r.Over.err() != nil
	case r.Grant != nil:
		return r.Code != nil && r.Grant.token().Check() == nil
	}
	return r.Code != nil
}

// encode returns nil for a record that says nothing.
func (r *record) encode() []byte {
	if r.ID == "" && len(r.Declines) == 0 && r.Page == nil {
		return nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // tokens are long enough as they are
	if err := e.Encode(r); err != nil {
		panic(err) // text, times and numbers
	}
	return b.Bytes()
}

// without returns the record without its device flow, and without what counts no more.
func (r *record) without(now time.Time) *record {
	page := r.Page
	if page != nil && !now.Before(page.Expires) {
		page = nil
	}
	return &record{Version: recordVersion, Page: page, Declines: slices.DeleteFunc(slices.Clone(r.Declines), func(d decline) bool { return !d.holds(now) })}
}

// holds reports whether a decline counts: a clock that was set back does not make it longer.
func (d decline) holds(now time.Time) bool {
	return d.At.Add(CoolDown).After(now) && !d.At.After(now.Add(CoolDown))
}
