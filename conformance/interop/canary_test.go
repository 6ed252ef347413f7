package interop_test

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"regexp"
	"strings"
)

// canary searches everything that left the server, the wire, its standard error
// and its log, for everything that should not have: what the authorization
// server issued to anybody in this run, and the clients' secrets. Codes that the
// person types may be in prompts, or where there is no other way in the text,
// and nowhere else.
func (s *story) canary(conversations [][]message) {
	s.Helper()
	secrets := map[string]string{apiClient.Secret: "the API's secret"}
	issued, used := 0, 0
	for _, e := range s.as.journal(s.T) {
		for value, what := range map[string]string{
			e.DeviceCode: "a device code", e.AccessToken: "an access token", e.RefreshToken: "a refresh token",
			e.Code: "an authorization code", e.Verifier: "a verifier",
		} {
			if value != "" {
				secrets[value] = what
			}
		}
		if e.ClientID == s.client.ID && e.AccessToken != "" {
			issued++
			if s.as.api.served(e.AccessToken) {
				used++
			}
		}
	}
	if s.client.Secret != "" {
		secrets[s.client.Secret] = "the client's secret"
	}
	if issued > 0 && used == 0 {
		s.Error("no token that was issued here was ever used: what is searched for is not what is in use")
	}

	for _, conversation := range conversations {
		for _, m := range conversation {
			for _, text := range readings(m.Raw) {
				for secret, what := range secrets {
					if strings.Contains(text, secret) {
						s.Errorf("%s on the wire: %s", what, m.Raw)
					}
				}
			}
			if m.From == fromServer && !s.mayShow(m) && s.showsCode(string(m.Raw)) {
				s.Errorf("a live code or link outside a prompt, where a model can read it: %s", m.Raw)
			}
		}
	}
	for _, name := range s.printed() {
		text, err := os.ReadFile(name)
		if err != nil {
			s.Error(err)
			continue
		}
		for secret, what := range secrets {
			if strings.Contains(string(text), secret) {
				s.Errorf("%s in %s", what, name)
			}
		}
		if s.showsCode(string(text)) {
			s.Errorf("a user code or link in %s:\n%s", name, text)
		}
	}
}

// mayShow reports whether a message is there to ask the person, as its host lets
// them be asked: by elicitation, where it has that, and there alone.
func (s *story) mayShow(m message) bool {
	switch s.options.reach {
	case byProgress:
		return m.Method == "notifications/progress" || m.Result.IsError
	case byText:
		return m.Result.IsError
	default:
		return m.Method == "elicitation/create" || m.Result.ResultType == "input_required"
	}
}

// showsCode reports whether a text has a code that this story's person was given,
// with or without the dash, or what makes a link of theirs one.
func (s *story) showsCode(text string) bool {
	for _, link := range *s.links {
		if strings.Contains(text, link) {
			return true
		}
	}
	for _, code := range *s.codes {
		if strings.Contains(text, code) || strings.Contains(text, strings.ReplaceAll(code, "-", "")) {
			return true
		}
	}
	return false
}

// encoded finds what could be base64 of something.
var encoded = regexp.MustCompile(`[A-Za-z0-9+/_-]{16,}`)

// readings returns the ways to read a message: as it is, its strings, and what
// those are when they are base64, as state and cursors often are.
func readings(raw json.RawMessage) []string {
	all := []string{string(raw)}
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return all
	}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			all = append(all, v)
			for _, word := range encoded.FindAllString(v, -1) {
				for _, as := range []*base64.Encoding{base64.RawURLEncoding, base64.RawStdEncoding} {
					if plain, err := as.DecodeString(word); err == nil {
						all = append(all, string(plain))
					}
				}
			}
		case []any:
			for _, v := range v {
				walk(v)
			}
		case map[string]any:
			for key, v := range v {
				walk(key)
				walk(v)
			}
		}
	}
	walk(v)
	return all
}
