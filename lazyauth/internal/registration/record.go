package registration

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"golang.org/x/oauth2"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
)

const (
	// recordVersion is that of the records written here. One of another version is left alone.
	recordVersion = 1
	// maxRecord bounds what is decoded: an id, two secrets and an address, each byte of which
	// JSON may write as six.
	maxRecord = 256 << 10
	// mostRow is when the pause between two registrations grows no more.
	mostRow = 16
)

// errForeign: the record is another program's, and not to be touched.
var errForeign = errors.New("lazyauth: the stored registration was written by another version")

// A record is a registration as it is stored.
type record struct {
	Version         int               `json:"v"`
	ClientID        string            `json:"client_id"`
	Secret          string            `json:"client_secret,omitempty"`
	AuthStyle       *oauth2.AuthStyle `json:"auth_style,omitempty"`
	SecretExpires   time.Time         `json:"client_secret_expires_at,omitzero"`
	ManagementToken string            `json:"registration_access_token,omitempty"`
	ManagementURI   string            `json:"registration_client_uri,omitempty"`
	At              time.Time         `json:"at"`
	Row             int               `json:"row,omitempty"`
}

// A registered client, as it was registered. It is not changed.
type registered struct {
	oauth.Registration
	at  time.Time // when it was
	row int       // how many before it were forgotten soon after they were made
}

// Format writes no secret, whatever the verb.
func (r registered) Format(s fmt.State, verb rune) { r.Registration.Format(s, verb) }

func (r *registered) encode() []byte {
	c := r.Credentials
	text, err := json.Marshal(record{ //nolint:gosec // the secret is what is kept, and stores seal it
		Version: recordVersion, ClientID: c.ID, Secret: c.Secret, AuthStyle: &c.AuthStyle, SecretExpires: r.SecretExpires.Round(0),
		ManagementToken: r.ManagementToken, ManagementURI: r.ManagementURI, At: r.at.Round(0), Row: r.row,
	})
	if err != nil {
		panic(err) // text, times and numbers
	}
	return text
}

// decode reads a stored registration at this server. Its errors quote nothing of the record.
func decode(server *oauth.Client, text []byte) (*registered, *oauth.Client, error) {
	if len(text) > maxRecord {
		return nil, nil, errors.New("lazyauth: the stored registration is too long to be one")
	}
	var r record
	if json.Unmarshal(text, &r) != nil {
		return nil, nil, errors.New("lazyauth: the stored registration is not JSON")
	}
	if r.Version != recordVersion {
		return nil, nil, fmt.Errorf("%w: it has version %d, and this program reads %d", errForeign, r.Version, recordVersion)
	}
	found := &registered{at: r.At, row: min(max(r.Row, 0), mostRow)}
	found.Credentials = oauth.Credentials{ID: r.ClientID, Secret: r.Secret}
	if r.AuthStyle != nil {
		found.Credentials.AuthStyle = *r.AuthStyle
	}
	found.SecretExpires, found.ManagementToken, found.ManagementURI = r.SecretExpires, r.ManagementToken, r.ManagementURI
	if r.ClientID == "" {
		return nil, nil, errors.New("lazyauth: the stored registration names no client")
	}
	client, err := server.WithCredentials(found.Credentials)
	if err != nil {
		return nil, nil, errors.New("lazyauth: the stored registration has a client that cannot be one")
	}
	return found, client, nil
}

// hasEnded reports whether the secret has, or is about to.
func (r *registered) hasEnded() bool {
	return !r.SecretExpires.IsZero() && time.Until(r.SecretExpires) < time.Minute
}

// pause is how long after r was registered no other client is registered in its place: a
// minute, doubled with each that the server forgot within a day, up to about eight hours. A
// clock that was set back is no reason to wait.
func (r *registered) pause() time.Duration {
	since := time.Since(r.at)
	if since < 0 {
		return 0
	}
	if r.hasEnded() {
		return leastPause - since
	}
	return leastPause<<min(r.row, mostDoubled) - since
}

// next is how many clients in a row one has before it that takes the place of r.
func (r *registered) next() int {
	if r == nil || time.Since(r.at) > settled || r.hasEnded() {
		return 0
	}
	return min(r.row+1, mostRow)
}

const (
	leastPause  = time.Minute
	mostDoubled = 9 // times
	// settled is how long a client has to have lasted that was none of a row.
	settled = 24 * time.Hour
)
