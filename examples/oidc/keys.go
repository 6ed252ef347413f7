package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

const (
	// keepKeys is for how long the issuer is not asked again for its keys, whatever it answered.
	keepKeys = 5 * time.Second
	maxKeys  = 512 << 10 // bytes
)

// keys asks the issuer for the keys that tokens are signed with, and is for that alone. go-oidc does so each time that a
// token names a key that it does not know, as one does after the issuer has changed its keys; and so can the token of a
// stranger, as often as they like. The issuer is not to notice.
type keys struct {
	base http.RoundTripper

	mu     sync.Mutex // guards what follows; nothing is asked under it
	answer []byte
	err    error
	until  time.Time
}

// RoundTrip implements [http.RoundTripper].
func (k *keys) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err, ok := k.known()
	if !ok {
		answer, err = k.ask(r) // of go-oidc's requests there is one at a time
		k.keep(answer, err)
	}
	if err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: http.StatusOK, Status: "200 OK", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(answer)), ContentLength: int64(len(answer)),
	}, nil
}

func (k *keys) known() (answer []byte, err error, ok bool) { //nolint:revive // the error is what is known
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.answer, k.err, time.Now().Before(k.until)
}

func (k *keys) keep(answer []byte, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.answer, k.err, k.until = answer, err, time.Now().Add(keepKeys)
}

// failing reports whether the issuer did not say just now what its keys are.
func (k *keys) failing() bool {
	_, err, ok := k.known()
	return ok && err != nil
}

func (k *keys) ask(r *http.Request) ([]byte, error) {
	res, err := k.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the issuer answered with HTTP status %d, and not with its keys", res.StatusCode)
	}
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxKeys+1))
	if err == nil && len(answer) > maxKeys {
		err = fmt.Errorf("the issuer has more than %d bytes of keys", maxKeys)
	}
	return answer, err
}
