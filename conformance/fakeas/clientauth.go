package fakeas

import (
	"cmp"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// credentials are what a Basic Authorization header held.
type credentials struct {
	id, secret       string // form-decoded (RFC 6749 §2.3.1)
	rawID, rawSecret string
	ok               bool // well-formed
}

// readAuthorization takes in the Authorization header.
func (x *exchange) readAuthorization() {
	scheme, rest, _ := strings.Cut(x.r.Header.Get("Authorization"), " ")
	rest = strings.TrimLeft(rest, " ")
	switch strings.ToLower(scheme) {
	case "bearer":
		x.bearer = rest
	case "basic":
		x.basic = parseBasic(rest)
	}
}

func parseBasic(text string) *credentials {
	c := &credentials{}
	decoded, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return c
	}
	c.rawID, c.rawSecret, c.ok = strings.Cut(string(decoded), ":")
	id, err1 := url.QueryUnescape(c.rawID)
	secret, err2 := url.QueryUnescape(c.rawSecret)
	c.id, c.secret = id, secret
	c.ok = c.ok && err1 == nil && err2 == nil
	return c
}

// claimedClient is the client that the request says it comes from.
func (x *exchange) claimedClient() string {
	id := x.form.Get("client_id")
	if x.entry.Operation == Authorization {
		id = x.query.Get("client_id")
	}
	if x.basic != nil && x.basic.id != "" {
		id = x.basic.id
	}
	return id[:min(len(id), 200)]
}

// presented is the method by which the request says that it authenticates.
func (x *exchange) presented() AuthMethod {
	switch {
	case x.basic != nil:
		return BasicAuth
	case x.form.Get("client_secret") != "":
		return PostAuth
	}
	return NoAuth
}

// authenticate finds the client (RFC 6749 §2.3, RFC 8628 §3.1) or says what
// to refuse the request with.
func (x *exchange) authenticate() (*Client, func() reply) {
	formID, formSecret := x.form.Get("client_id"), x.form.Get("client_secret")
	used, id, secret := x.presented(), formID, formSecret
	switch {
	case used == BasicAuth:
		id, secret = x.basic.id, x.basic.secret
		if formSecret != "" || formID != "" && formID != id {
			x.violate(TwoAuthentications, "Authorization header and body")
			return nil, x.refusal("invalid_request", "two client authentications")
		}
	case used == NoAuth && formID == "":
		x.violate(MissingParameter, "client_id")
		return nil, x.refusal("invalid_request", "no client_id")
	}
	invalid := func() reply {
		out := x.refuse(http.StatusUnauthorized, "invalid_client", cmp.Or(x.why, "unknown client or wrong authentication"))
		out.header.Set("WWW-Authenticate", `Basic realm="clients"`)
		return out
	}

	client := x.find(id)
	switch {
	case used == BasicAuth && x.server.opts.RawBasic:
		client, secret = x.find(x.basic.rawID), x.basic.rawSecret
	case used == BasicAuth:
		// A header whose halves were not form-encoded fits as it stands.
		plainly := x.find(x.basic.rawID)
		if plainly != nil && sameSecret(plainly.Secret, x.basic.rawSecret) && (plainly != client || secret != plainly.Secret) {
			x.violate(WrongAuthentication, "ID and secret not form-encoded in the header")
			return nil, invalid
		}
		if !x.basic.ok {
			x.violate(WrongAuthentication, "ill-formed Basic header")
			return nil, invalid
		}
	}
	switch {
	case client == nil, !client.secretExpires.IsZero() && !time.Now().Before(client.secretExpires):
		return nil, invalid
	case x.entry.Operation == DeviceAuthorization && x.server.opts.OpenDevice:
		return client, nil
	case client.Auth == EitherAuth && used != NoAuth:
		if !sameSecret(client.Secret, secret) {
			return nil, invalid
		}
	case client.Auth != used:
		x.violate(WrongAuthentication, string(used)+" instead of "+string(client.Auth))
		return nil, invalid
	case !sameSecret(client.Secret, secret):
		return nil, invalid
	}
	return client, nil
}

func sameSecret(a, b string) bool {
	return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}
