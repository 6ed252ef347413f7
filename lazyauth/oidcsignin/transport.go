package oidcsignin

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"
)

const (
	requestTime = 10 * time.Second // of one request to the issuer
	maxAnswer   = 512 << 10        // bytes, of an answer of the issuer's
	maxQuote    = 200              // bytes, of what somebody else wrote, in the log
)

// newClient returns what asks the issuer. No redirect is followed: what the issuer is asked has secrets in it, and
// what it answers is believed because of where it came from.
func newClient(base http.RoundTripper) *http.Client {
	if base == nil {
		own := &http.Transport{}
		if shared, ok := http.DefaultTransport.(*http.Transport); ok { // unless the program has put another there
			own = shared.Clone()
		}
		own.MaxResponseHeaderBytes = 64 << 10
		base = own
	}
	return &http.Client{
		Transport: bounded{base}, Timeout: requestTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// A bounded transport lets nobody send more than maxAnswer.
type bounded struct{ base http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := b.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	res.Body = &boundedBody{res.Body, maxAnswer}
	return res, nil
}

var errTooLong = errors.New("the answer of the issuer is too long")

type boundedBody struct {
	io.ReadCloser
	left int
}

// Read fails once more has come than there may be.
func (b *boundedBody) Read(p []byte) (int, error) {
	if len(p) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if b.left -= n; b.left < 0 {
		return 0, errTooLong
	}
	return n, err
}

// quote makes a text that somebody else wrote fit for a log: cut short, on one line, in ASCII.
func quote(text string) string {
	if len(text) > maxQuote {
		return strconv.QuoteToASCII(text[:maxQuote]) + "..."
	}
	return strconv.QuoteToASCII(text)
}
