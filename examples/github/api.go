package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
)

const (
	// apiVersion is the revision of the REST API that this is written for.
	apiVersion = "2022-11-28"
	// maxAnswer bounds how much of an answer is read, in bytes. A hundred
	// repositories are less than one million.
	maxAnswer = 4 << 20
)

// A gitHubAPI is GitHub's REST API.
type gitHubAPI struct{ base string }

// do sends in, if not nil, as JSON, decodes the answer into out, if not nil, and
// returns its header. The token is added by the call's client, which may first
// wait for the user: no timeout here, the call has one.
//
// Its errors are for a model to read, so they are in our words. What GitHub
// wrote is not repeated: it may be meant to instruct.
func (g gitHubAPI) do(ctx context.Context, method, path string, in, out any) (http.Header, error) {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text) // net/http can read it a second time, if more scopes are needed
	}
	req, err := http.NewRequestWithContext(ctx, method, g.base+path, body)
	if err != nil {
		return nil, err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/vnd.github+json")
	req.Header.Set("X-Github-Api-Version", apiVersion)
	req.Header.Set("User-Agent", "lazyauth-example") // GitHub refuses requests without one
	resp, err := lazyauth.Client(ctx).Do(req)
	if err != nil {
		if e, ok := errors.AsType[*lazyauth.Error](err); ok {
			return nil, e // it says what to do, and carries a reason for programs
		}
		return nil, errors.New("GitHub cannot be reached: try again later")
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return nil, refusal(resp.StatusCode, resp.Header)
	}
	if out != nil {
		if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(out); err != nil {
			return nil, errors.New("GitHub sent an answer that is not understood")
		}
	}
	return resp.Header, nil
}

// refusal tells a model what an answer means for it.
func refusal(status int, header http.Header) error {
	limited := status == http.StatusForbidden || status == http.StatusTooManyRequests
	switch {
	case status == http.StatusUnauthorized:
		return errors.New("GitHub does not accept the sign-in any more (HTTP 401): the user may have revoked it")
	case limited && (header.Get("X-Ratelimit-Remaining") == "0" || header.Get("Retry-After") != ""):
		return fmt.Errorf("GitHub gets too many requests from this user (HTTP %d): try again in %d min", status, minutesLeft(header))
	case status == http.StatusTooManyRequests:
		return errors.New("GitHub gets too many requests (HTTP 429): try again in a minute")
	case status == http.StatusForbidden && strings.HasPrefix(header.Get("X-Github-Sso"), "required"):
		return errors.New("the organization wants its own single sign-on (HTTP 403): the user has to authorize this application for it, in GitHub's settings under Applications")
	case status == http.StatusForbidden:
		return errors.New("GitHub does not allow this (HTTP 403): the user lacks the right, or an organization has not approved this application; do not try again")
	case status == http.StatusNotFound:
		return errors.New("GitHub has nothing of that name that the user may see (HTTP 404)")
	case status == http.StatusUnprocessableEntity:
		return errors.New("GitHub refused what was sent as invalid (HTTP 422)")
	case status >= 500:
		return fmt.Errorf("GitHub is out of order (HTTP %d): try again later", status)
	default:
		return fmt.Errorf("GitHub refused the request (HTTP %d)", status)
	}
}

// minutesLeft returns after how many minutes the header says that requests are
// answered again, 1 to 60.
func minutesLeft(header http.Header) int {
	var left time.Duration
	if seconds, err := strconv.ParseInt(header.Get("Retry-After"), 10, 32); err == nil {
		left = time.Duration(seconds) * time.Second
	} else if reset, err := strconv.ParseInt(header.Get("X-Ratelimit-Reset"), 10, 64); err == nil {
		left = time.Until(time.Unix(reset, 0))
	}
	left = min(max(left, time.Minute), time.Hour) // whatever the header says
	return int((left + time.Minute - 1) / time.Minute)
}
