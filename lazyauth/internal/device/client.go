package device

import (
	"fmt"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
)

// Options are a [Client]'s, beside those of its [oauth.Client].
type Options struct {
	// UseComplete hands on verification_uri_complete (RFC 8628 §3.3.1), which
	// contains the code. An attacker who gets somebody to open such a link needs
	// one careless click; without it the victim has to type a code as well.
	UseComplete bool

	// SkipPKCE binds no code to a verifier, though the metadata lists S256. It is for a
	// server that drops the challenge of a device and refuses the verifier. Who learns a
	// device code, from a log for example, can then have the token of a public client.
	SkipPKCE bool
}

// A Client asks one authorization server for device codes, and waits for what comes of
// them. It is safe for concurrent use, has nothing to close, and costs nothing to make.
type Client struct {
	oauth   *oauth.Client
	options Options
}

// New returns the device flow of a client. Its error is that of [Offered].
func New(client *oauth.Client, options Options) (*Client, error) {
	if err := Offered(client.Endpoints()); err != nil {
		return nil, &oauth.Error{Op: "device authorization", Kind: err}
	}
	return &Client{client, options}, nil
}

// Offered says what an authorization server lacks for the device flow, by an error that
// is an [oauth.ErrUnsupported].
func Offered(e oauth.Endpoints) error {
	if e.DeviceAuthorization == "" {
		return fmt.Errorf("%w: the metadata has no device_authorization_endpoint", oauth.ErrUnsupported)
	}
	return nil
}

// Format writes what [oauth.Config.Format] writes.
func (c Client) Format(s fmt.State, verb rune) { c.oauth.Format(s, verb) }
