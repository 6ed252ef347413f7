package oauth

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// errMalformedCode is an ErrCode.
var errMalformedCode = fmt.Errorf("%w, or the request is malformed", ErrCode)

// Exchange exchanges an authorization code for a token (RFC 6749 §4.1.3), with the verifier
// of its challenge (RFC 7636 §4.5). The redirect URI is that of the authorization request,
// byte for byte. The scopes are those that were asked for, which the token has if the server
// says nothing else (§5.1).
//
// A code is presented once: servers that see it twice revoke what it brought (§4.1.2). So
// there is one request, of at most 30 s, and no other unless the first was certainly not
// seen, or has been refused for how the client authenticated. Whatever the error, the code
// has been used.
//
// Errors: ErrCode if the server does not accept the code, which somebody else may have
// brought: the person's own may be on its way. So may it if the server calls the request
// malformed, as better-auth does of a verifier that is not that of the code's challenge;
// then the error is an ErrCode, and its Code is invalid_request. ErrRefused if the server refused the
// request, ErrUnavailable if there was no usable answer, ErrUnreadable for a success
// without a token, ErrTokenType and any other ErrInvalid for a token that cannot be used.
// Or that of ctx.
func (c *Client) Exchange(ctx context.Context, code, redirectURI, verifier string, asked scopes.Set) (*Token, error) {
	const op = "code exchange"
	form := c.TokenForm("authorization_code")
	form.Set("code", code)
	form.Set("redirect_uri", redirectURI)
	if verifier != "" {
		form.Set("code_verifier", verifier)
	}
	sent := time.Now()
	a := c.post(ctx, c.config.Endpoints.Token, form, closed)
	if a.Unsent && c.ClientID() != "" && Sleep(ctx, retryPause) {
		sent = time.Now()
		a = c.post(ctx, c.config.Endpoints.Token, form, closed)
	}
	switch end := comesTo[a.Verdict.Means].exchange; {
	case ctx.Err() != nil && (a.Broken() || a.Unsent):
		return nil, Ended(ctx, op)
	case end != nil && a.Verdict == Known("invalid_request"):
		return nil, c.Fail(op, errMalformedCode, a, code, verifier)
	case end != nil:
		return nil, c.Fail(op, end, a, code, verifier)
	case a.Success() && a.fields.text("access_token") == "":
		return nil, c.Fail(op, ErrUnreadable, a, code, verifier)
	case a.Fault != "":
		return nil, c.Fail(op, ErrUnavailable, a, code, verifier)
	}
	token, err := c.ReadToken(op, a, sent, asked, code, verifier)
	if err != nil {
		return nil, err
	}
	return token, nil
}

// ResponseError is the error of an authorization response (RFC 6749 §4.1.2.1): ErrDenied if
// the person said no, ErrUnavailable if the server has trouble of its own, ErrRefused for
// all else. Its text quotes nothing of the response.
func ResponseError(op string, response url.Values) *Error {
	code := response.Get("error")
	v := Known(code)
	if v.Code == "" {
		v.Code = CodeOther
	}
	e := &Error{Op: op, Kind: ErrRefused, Code: v.Code, Detail: "error " + secrets{}.quote(code)}
	switch v.Means {
	case MeansDenied:
		e.Kind = ErrDenied
	case MeansTrouble, MeansSlowDown, MeansPending:
		e.Kind = ErrUnavailable
	}
	if text := response.Get("error_description"); text != "" {
		e.Detail += ", error_description " + secrets{}.quote(text)
	}
	return e
}
