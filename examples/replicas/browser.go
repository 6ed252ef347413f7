package main

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// A browser goes through the connect page, as a person's does.
type browser struct {
	client *http.Client
	origin string
}

// do sends a request as a browser does that was led there by a page, or by a person, and returns the page.
func (b *browser) do(ctx context.Context, method, address string, form url.Values) (string, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	req.Header.Set("Sec-Fetch-Mode", "navigate")
	req.Header.Set("Sec-Fetch-Dest", "document")
	req.Header.Set("Sec-Fetch-Site", "none")
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", b.origin)
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	res, err := b.client.Do(req)
	if err != nil {
		return "", errors.Unwrap(err) // without the address, in which there is a link
	}
	defer res.Body.Close()
	page, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err == nil && res.StatusCode != http.StatusOK {
		name := ""
		if found := title.FindStringSubmatch(string(page)); found != nil {
			name = found[1]
		}
		err = fmt.Errorf("page %q of %s has status %d", name, req.URL.Path, res.StatusCode)
	}
	return string(page), err
}

var (
	title   = regexp.MustCompile(`<title>([^<]*)</title>`)
	field   = regexp.MustCompile(`name="(f|token)" value="([^"]*)"`)
	refresh = regexp.MustCompile(`http-equiv="refresh" content="0;url=([^"]*)"`)
)

// goesOn presses the button of the page that asks, and returns where that leads.
func (b *browser) goesOn(ctx context.Context, link, page string) (string, error) {
	form := url.Values{"answer": {"continue"}}
	for _, f := range field.FindAllStringSubmatch(page, -1) {
		form.Set(f[1], html.UnescapeString(f[2]))
	}
	address, _, _ := strings.Cut(link, "?")
	left, err := b.do(ctx, http.MethodPost, address, form)
	if err != nil {
		return "", err
	}
	found := refresh.FindStringSubmatch(left)
	if found == nil {
		return "", errors.New("the page leads nowhere")
	}
	return html.UnescapeString(found[1]), nil
}
