package grants_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
)

// issued are the secrets that the authorization server has given away.
type issued struct {
	mu      sync.Mutex
	secrets []string
	access  string // the last token
}

func (i *issued) all() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.secrets)
}

// last returns the access token that was issued last.
func (i *issued) last() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.access
}

// A listener notes what is issued.
type listener struct {
	next http.RoundTripper
	*issued
}

func (l listener) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := l.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil {
		res.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), broken{err}))
	} else {
		res.Body = io.NopCloser(bytes.NewReader(body))
	}
	var got struct {
		Device  string `json:"device_code"`
		User    string `json:"user_code"`
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	if json.Unmarshal(body, &got) != nil {
		return res, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, secret := range []string{got.Device, got.User, got.Access, got.Refresh} {
		if secret != "" {
			l.secrets = append(l.secrets, secret)
		}
	}
	if got.Access != "" {
		l.access = got.Access
	}
	return res, nil
}

type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

// roundTripper is a function that is one.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// granting has the scope of each token answer be what granted returns for it.
func granting(granted func(string) string) func(http.RoundTripper) http.RoundTripper {
	return answering(func(members map[string]any) { members["scope"] = granted(fmt.Sprint(members["scope"])) })
}

// answering changes each token answer.
func answering(change func(members map[string]any)) func(http.RoundTripper) http.RoundTripper {
	return func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			res, err := next.RoundTrip(req)
			if err != nil {
				return nil, err
			}
			body, err := io.ReadAll(res.Body)
			if err != nil {
				return nil, err
			}
			var members map[string]any
			if json.Unmarshal(body, &members) == nil && members["access_token"] != nil {
				change(members)
				if body, err = json.Marshal(members); err != nil {
					return nil, err
				}
			}
			res.Body = io.NopCloser(bytes.NewReader(body))
			return res, nil
		})
	}
}

// forms are what was sent in bodies to the authorization server.
type forms struct {
	mu   sync.Mutex
	sent []url.Values
}

// wire notes the forms that are sent.
func (f *forms) wire(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		if req.Body != nil {
			body, err := io.ReadAll(req.Body)
			if err != nil {
				return nil, err
			}
			form, err := url.ParseQuery(string(body))
			if err != nil {
				return nil, err
			}
			f.mu.Lock()
			f.sent = append(f.sent, form)
			f.mu.Unlock()
			req = req.Clone(req.Context())
			req.Body = io.NopCloser(bytes.NewReader(body))
		}
		return next.RoundTrip(req)
	})
}

// of returns what the forms with this value of kind had for member.
func (f *forms) of(kind, value, member string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var got []string
	for _, form := range f.sent {
		if form.Get(kind) == value {
			got = append(got, form.Get(member))
		}
	}
	return got
}
