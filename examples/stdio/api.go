package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
)

// maxAnswer bounds how much of an answer is read, in bytes.
const maxAnswer = 1 << 20

// A notesAPI is the API that the tools are made of.
type notesAPI struct{ base string }

// do sends in, if not nil, as JSON and decodes the answer into out. The token
// is added by the call's client, which may first wait for the user: no timeout
// here, the call has one.
//
// Its errors are for a model to read, so they are in our words. What the API
// wrote is not repeated: it is not ours, and may be meant to instruct.
func (n notesAPI) do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, n.base+path, body)
	if err != nil {
		return err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/json")
	resp, err := lazyauth.Client(ctx).Do(req)
	if err != nil {
		if e, ok := errors.AsType[*lazyauth.Error](err); ok {
			return e // it says what to do, and carries a reason for programs
		}
		return errors.New("the notes service cannot be reached: try again later")
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return refusal(resp.StatusCode)
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(out); err != nil {
		return errors.New("the notes service sent an answer that is not understood")
	}
	return nil
}

// refusal tells a model what an HTTP status means for it.
func refusal(status int) error {
	switch {
	case status == http.StatusUnauthorized:
		return errors.New("the notes service does not accept the sign-in any more (HTTP 401): the user may have withdrawn it")
	case status == http.StatusForbidden:
		return errors.New("the notes service does not allow this with the access that the user granted (HTTP 403): do not try again")
	case status == http.StatusTooManyRequests:
		return errors.New("the notes service gets too many requests (HTTP 429): try again in a minute")
	case status >= 500:
		return fmt.Errorf("the notes service is out of order (HTTP %d): try again later", status)
	default:
		return fmt.Errorf("the notes service refused the request (HTTP %d)", status)
	}
}
