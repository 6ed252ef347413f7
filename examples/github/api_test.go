package main

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/examples/internal/hosttest"
)

func TestErrorsOfTheAPIAreToldInOurWords(t *testing.T) {
	scopesOf := func(name, value string) http.Header {
		return http.Header{"X-Oauth-Scopes": {"gist"}, "X-Accepted-Oauth-Scopes": {"repo"}, name: {value}}
	}
	inTenMinutes := func() string { return strconv.FormatInt(time.Now().Add(10*time.Minute).Unix(), 10) }
	for _, test := range []struct {
		name   string
		status int
		header func() http.Header
		want   string
	}{
		{"forbidden", 403, nil, "does not allow this (HTTP 403)"},
		{"rate limit", 403, func() http.Header {
			h := scopesOf("X-Ratelimit-Remaining", "0")
			h["X-Ratelimit-Reset"] = []string{inTenMinutes()}
			return h
		}, "try again in 10 min"},
		{"rate limit until long ago", 429, func() http.Header {
			return http.Header{"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {"1"}}
		}, "try again in 1 min"},
		{"rate limit for ever", 403, func() http.Header {
			return http.Header{"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {"99999999999999"}}
		}, "try again in 60 min"},
		{"secondary rate limit", 403, func() http.Header { return scopesOf("Retry-After", "61") }, "try again in 2 min"},
		{"too many requests", 429, nil, "try again in a minute"},
		{"single sign-on", 403, func() http.Header {
			return scopesOf("X-Github-Sso", "required; url=https://elsewhere.example.net")
		}, "single sign-on"},
		{"hidden", 404, nil, "nothing of that name"},
		{"unprocessable", 422, nil, "invalid (HTTP 422)"},
		{"out of order", 502, nil, "out of order (HTTP 502)"},
		{"teapot", 418, nil, "refused the request (HTTP 418)"},
		{"not JSON", 201, nil, "an answer that is not understood"},
		{"no end", 201, func() http.Header { return http.Header{"Endless": {"yes"}} }, "an answer that is not understood"},
	} {
		t.Run(test.name, func(t *testing.T) {
			act(t, func(t *testing.T, g *gitHub, host *hosttest.Host) {
				var header http.Header
				if test.header != nil {
					header = test.header()
				}
				body := theirs
				if header.Get("Endless") != "" {
					body = `{"id":"` + strings.Repeat("x", maxAnswer) + `"}`
				}
				g.next(test.status, header, body)
				text := host.WantError("create_gist", recipe, test.want)
				if strings.Contains(text, theirs) || strings.Contains(text, "elsewhere") {
					t.Errorf("%q repeats what the API wrote", text)
				}
				host.WantAsked("gist") // more would not have helped
			})
		})
	}
}
