package oidcsignin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"golang.org/x/oauth2"
)

// push hands the parameters of a request to an issuer that takes them in no other way (RFC 9126 §2), and returns
// the address that has a name for them.
func (s *SignIn) push(ctx context.Context, p *provider, parameters url.Values) (to string, err error) {
	basic := p.config.Endpoint.AuthStyle == oauth2.AuthStyleInHeader
	if !basic && s.options.ClientSecret != "" {
		parameters.Set("client_secret", s.options.ClientSecret)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.push, strings.NewReader(parameters.Encode()))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	if basic {
		req.SetBasicAuth(url.QueryEscape(s.options.ClientID), url.QueryEscape(s.options.ClientSecret)) // RFC 6749 §2.3.1
	}
	res, err := s.client.Do(req)
	if err != nil {
		return "", fmt.Errorf("%w: the pushed request: %s", lazyauth.ErrSignInUnreached, quote(err.Error()))
	}
	defer res.Body.Close()
	var got struct {
		URI         string `json:"request_uri"`
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	text, err := io.ReadAll(res.Body)
	if err == nil {
		err = json.Unmarshal(text, &got)
	}
	switch {
	case res.StatusCode >= http.StatusInternalServerError, res.StatusCode == http.StatusTooManyRequests:
		return "", fmt.Errorf("%w: the pushed request was answered with HTTP status %d", lazyauth.ErrSignInUnreached, res.StatusCode)
	case err == nil && got.Error != "":
		return "", fmt.Errorf("the pushed request was answered with %s: %s", quote(got.Error), quote(got.Description))
	case err != nil || res.StatusCode != http.StatusCreated || got.URI == "" || len(got.URI) > maxOther:
		return "", errors.New("the answer to the pushed request is none")
	}
	return withQuery(p.config.Endpoint.AuthURL, url.Values{"client_id": {s.options.ClientID}, "request_uri": {got.URI}})
}

// withQuery adds parameters to those that an address has.
func withQuery(address string, more url.Values) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", err
	}
	all := u.Query()
	maps.Copy(all, more)
	u.RawQuery = all.Encode()
	return u.String(), nil
}
