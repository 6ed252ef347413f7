package oauth

import (
	"net/http"
	"net/url"
	"strings"
	"sync"

	"golang.org/x/oauth2"
)

// clientAuth is what is known of how the client authenticates (RFC 6749 §2.3.1), where
// neither the author nor the metadata has said it: the header first, and the body once
// the header was refused. Servers that read the body alone, and whose metadata does not
// say so, are many; without this their refusal comes after the person has approved.
type clientAuth struct {
	mu      sync.Mutex                // guards what follows
	first   oauth2.AuthStyle          // for the next request; zero means the header
	agreed  bool                      // the token endpoint has issued a token to first
	refused map[oauth2.AuthStyle]bool // by polls, since the last token
}

// authStyle returns how the next request authenticates, and whether that is settled.
func (c *Client) authStyle() (style oauth2.AuthStyle, settled bool) {
	for _, said := range []oauth2.AuthStyle{c.config.Credentials.AuthStyle, c.config.Endpoints.AuthStyle} {
		if said != oauth2.AuthStyleAutoDetect {
			return said, true
		}
	}
	c.auth.mu.Lock()
	defer c.auth.mu.Unlock()
	if c.auth.first == oauth2.AuthStyleAutoDetect {
		return oauth2.AuthStyleInHeader, false
	}
	return c.auth.first, c.auth.agreed
}

// SendsHeader reports whether the next request authenticates in the header, and says
// nothing of the client in its body.
func (c *Client) SendsHeader() bool {
	style, _ := c.authStyle()
	return c.config.Credentials.Secret != "" && style == oauth2.AuthStyleInHeader
}

// authenticate puts the client into a request: into its form, or into the header.
func (c *Client) authenticate(form url.Values, style oauth2.AuthStyle) (basic bool) {
	switch {
	case c.config.Credentials.Secret == "":
		form.Set("client_id", c.config.Credentials.ID)
	case style == oauth2.AuthStyleInParams:
		form.Set("client_id", c.config.Credentials.ID)
		form.Set("client_secret", c.config.Credentials.Secret)
	default:
		// One authentication method a request (RFC 6749 §2.3): nothing in the body.
		return true
	}
	return false
}

// accepted notes that an endpoint took the client for authenticated. Only a token
// settles it: there are device authorization endpoints that take anybody, and token
// endpoints that look at the client once the person has approved.
func (c *Client) accepted(style oauth2.AuthStyle, a *Answer) {
	if a.Fault != "" {
		return
	}
	c.auth.mu.Lock()
	defer c.auth.mu.Unlock()
	if c.auth.agreed {
		return
	}
	c.auth.first = style
	if a.fields.text("error") == "" && a.fields.text("access_token") != "" {
		c.auth.agreed, c.auth.refused = true, nil
	}
}

// turnTo notes that a poll was refused, and makes the next one authenticate in the
// other way. It reports false if that was refused too.
func (c *Client) turnTo(other oauth2.AuthStyle) bool {
	c.auth.mu.Lock()
	defer c.auth.mu.Unlock()
	if c.auth.agreed {
		return c.auth.first == other
	}
	if c.auth.refused[other] {
		c.auth.first, c.auth.refused = oauth2.AuthStyleAutoDetect, nil
		return false
	}
	c.auth.first, c.auth.refused = other, map[oauth2.AuthStyle]bool{otherStyle(other): true}
	return true
}

func otherStyle(style oauth2.AuthStyle) oauth2.AuthStyle {
	if style == oauth2.AuthStyleInParams {
		return oauth2.AuthStyleInHeader
	}
	return oauth2.AuthStyleInParams
}

// methodName is the style's name in the registry of RFC 7591.
func methodName(style oauth2.AuthStyle) string {
	if style == oauth2.AuthStyleInParams {
		return methodPost
	}
	return methodBasic
}

const (
	methodBasic = "client_secret_basic"
	methodPost  = "client_secret_post"
	methodNone  = "none"
)

// listedStyle is the one way of a client with a secret that a server's metadata lists
// (RFC 8414 §2), zero if it lists both or none. One without a list has by §2 the
// header alone; many such servers do not know that.
func listedStyle(metadata fields) oauth2.AuthStyle {
	var basic, post bool
	for method := range strings.FieldsSeq(metadata.text("token_endpoint_auth_methods_supported")) {
		basic = basic || method == methodBasic
		post = post || method == methodPost
	}
	switch {
	case basic && !post:
		return oauth2.AuthStyleInHeader
	case post && !basic:
		return oauth2.AuthStyleInParams
	}
	return oauth2.AuthStyleAutoDetect
}

// refusesClient reports whether the answer means that the client should authenticate in
// another way: it says so, or, to a request whose body named no client, that something
// is missing (RFC 6749 §5.2).
func (a *Answer) refusesClient(style oauth2.AuthStyle) bool {
	switch {
	case a.Verdict.Means == MeansLater: // that is about something else
		return false
	case a.Verdict.Code == "invalid_request":
		return style == oauth2.AuthStyleInHeader
	}
	return a.Verdict.Code == "invalid_client"
}

// isUnauthorized reports whether the answer is a 401 that says nothing else.
func (a *Answer) isUnauthorized() bool {
	return a.Status == http.StatusUnauthorized && a.fields.text("error") == ""
}

// refusal names, for the operator, how a client was authenticated that was refused.
func (c *Client) refusal(styles ...oauth2.AuthStyle) string {
	if c.config.Credentials.Secret == "" {
		return ""
	}
	var names []string
	plain := true
	for _, style := range styles {
		names = append(names, methodName(style))
		plain = plain && style != oauth2.AuthStyleInHeader
	}
	text := "the client authenticated by " + strings.Join(names, ", then by ")
	if !plain && (url.QueryEscape(c.config.Credentials.ID) != c.config.Credentials.ID || url.QueryEscape(c.config.Credentials.Secret) != c.config.Credentials.Secret) {
		text += "; id or secret have characters that are percent-encoded in the header (RFC 6749 section 2.3.1), which some servers do not undo"
	}
	return text
}
