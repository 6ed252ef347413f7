package fakeas

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
)

// Visit plays the person in front of a browser: it opens the verification
// URI, enters the user code, compares the code on the next page, and approves
// or denies there, through the pages and forms that a [Server] serves. A nil
// client means http.DefaultClient. It fails if a page is not the one that a
// person would expect; the error does not hold the code.
func Visit(ctx context.Context, client *http.Client, verificationURI, userCode string, approve bool) error {
	if client == nil {
		client = http.DefaultClient
	}
	choice, last := "deny", "denied"
	if approve {
		choice, last = "approve", "approved"
	}
	v := visit{client: client}
	err := v.open(ctx, http.MethodGet, verificationURI, nil)
	if err == nil {
		err = v.submit(ctx, "enter", "user_code", userCode)
	}
	if shown := codeShown.FindStringSubmatch(v.body); err == nil && v.name() == "confirm" &&
		(shown == nil || readUserCode(shown[1]) != readUserCode(userCode)) {
		err = errors.New("the page does not show the code that was entered")
	}
	if err == nil {
		err = v.submit(ctx, "confirm", "decision", choice)
	}
	if err == nil && v.name() != last {
		err = v.unexpected(last)
	}
	if err != nil {
		return fmt.Errorf("fakeas: visiting the device page: %w", err)
	}
	return nil
}

// VisitAuthorization plays the person in front of a browser at the
// authorization endpoint: it opens an authorization URL, signs in as a subject
// if asked who it is, or if the page shows that somebody else is signed in, and
// approves or denies, through the pages and forms that a [Server] serves. It
// returns where the browser is sent, which nobody follows: a redirect URI of
// the client's. The client must have a cookie jar; with the same one the next
// visit is in the same browser. A nil client is a new browser. The link may also
// be to a page of the client's own that sends the browser on to the
// authorization endpoint; where it is sent is then to be opened with the same
// jar. An empty subject
// is whoever is signed in, or the first account on the page. It fails with
// [ErrNoWayBack] if the page sends nobody back. No error holds the address.
func VisitAuthorization(ctx context.Context, client *http.Client, authorizationURL, subject string, approve bool) (location string, err error) {
	browser := http.Client{}
	if client != nil {
		browser = *client
	}
	if browser.Jar == nil {
		browser.Jar, _ = cookiejar.New(nil)
	}
	v := visit{client: &browser}
	browser.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		from := via[len(via)-1].URL
		within := req.URL.Scheme == from.Scheme && req.URL.Host == from.Host
		if (within || req.URL.Query().Has("client_id")) && len(via) < 10 {
			return nil
		}
		return http.ErrUseLastResponse
	}
	if err = v.open(ctx, http.MethodGet, authorizationURL, nil); err == nil {
		location, err = v.decide(ctx, subject, approve)
	}
	if err != nil {
		return "", fmt.Errorf("fakeas: visiting the authorization page: %w", err)
	}
	return location, nil
}

// decide goes from the first page of the authorization endpoint to where the
// browser is sent.
func (v *visit) decide(ctx context.Context, subject string, approve bool) (string, error) {
	choice, switched := "deny", false
	if approve {
		choice = "approve"
	}
	for range 6 { // more pages than there are
		if v.location != "" {
			return v.location, nil
		}
		var err error
		switch name := v.name(); {
		case name == "signin":
			who := subject
			if first := account.FindStringSubmatch(v.body); who == "" && first != nil {
				who = html.UnescapeString(first[1])
			}
			err, switched = v.submit(ctx, name, "person", who), true
		case name == "consent" && subject != "" && subject != v.signedIn() && !switched:
			err = v.submit(ctx, name, "decision", "switch")
		case name == "consent":
			err = v.submit(ctx, name, "decision", choice)
		case name == "problem":
			return "", ErrNoWayBack
		default:
			err = v.unexpected("signin")
		}
		if err != nil {
			return "", err
		}
	}
	return "", errors.New("the pages go round in circles")
}

// visit is the page that the person looks at.
type visit struct {
	client *http.Client
	url    *url.URL
	status int
	body   string

	location string // of a redirect that was not followed
}

// open loads a page.
func (v *visit) open(ctx context.Context, method, address string, form url.Values) error {
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return bare(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := v.client.Do(req)
	if err != nil {
		return bare(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	v.url, v.status, v.body = resp.Request.URL, resp.StatusCode, string(page)
	v.location = resp.Header.Get("Location")
	return err
}

// What a Server's pages look like: one form each, hidden fields written in
// this order. These are no parsers of HTML.
var (
	pageName   = regexp.MustCompile(`<body data-page="([a-z]+)">`)
	formAction = regexp.MustCompile(`<form method="post" action="([^"]*)"`)
	codeShown  = regexp.MustCompile(`<p class="code show"><span aria-hidden="true">([^<]*)<`)
	account    = regexp.MustCompile(`<button type="submit" name="person" value="([^"]*)"`)
	hidden     = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)
)

// submit fills a field of the form on the named page and submits it.
func (v *visit) submit(ctx context.Context, page, field, value string) error {
	action := formAction.FindStringSubmatch(v.body)
	if v.name() != page || action == nil {
		return v.unexpected(page)
	}
	target, err := v.url.Parse(html.UnescapeString(action[1]))
	if err != nil || target.Host != v.url.Host {
		return errors.New("the form would be sent to another site")
	}
	form := url.Values{}
	for _, h := range hidden.FindAllStringSubmatch(v.body, -1) {
		form.Set(html.UnescapeString(h[1]), html.UnescapeString(h[2]))
	}
	form.Set(field, value)
	return v.open(ctx, http.MethodPost, target.String(), form)
}

// signedIn is whose account the page is about.
func (v *visit) signedIn() string {
	for _, h := range hidden.FindAllStringSubmatch(v.body, -1) {
		if h[1] == "person" {
			return html.UnescapeString(h[2])
		}
	}
	return ""
}

// name is what the page calls itself.
func (v *visit) name() string {
	if match := pageName.FindStringSubmatch(v.body); match != nil {
		return match[1]
	}
	return "unknown"
}

func (v *visit) unexpected(wanted string) error {
	return fmt.Errorf("expected page %q, got %q with status %d", wanted, v.name(), v.status)
}

// bare strips the address, which may hold the code.
func bare(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}
