package connect_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/connect"
)

// A cupboard is a service of which everybody has one grant, whose texts are anybody's.
type cupboard struct {
	id  string
	key []byte
}

const hostile = "\u202e<b onclick=x>&\"'\x00"

func (c cupboard) Service() string { return "Notes " + c.id }
func (c cupboard) ID() string      { return c.id }
func (c cupboard) Key() []byte     { return c.key }

func (c cupboard) GrantsOf(_ context.Context, a connect.Asker) ([]connect.Granted, error) {
	return []connect.Granted{{Person: a.Who, Account: hostile, Signed: hostile, Hosts: []string{hostile, strings.Repeat("x", 500)}, Access: []string{hostile}}}, nil
}
func (cupboard) End(context.Context, connect.Granted) error  { return nil }
func (cupboard) EndAll(context.Context, connect.Asker) error { return nil }
func (cupboard) Again(context.Context, connect.Granted) (link, code string, err error) {
	return "", "", connect.ErrNoGrant
}

// shelf returns a page with these services, for ada.
func shelf(t *testing.T, all ...cupboard) func(address string) (status int, page string) {
	t.Helper()
	page, err := connect.New(connect.Config{PublicURL: "https://mcp.example.com/connect", Who: func(*http.Request) (connect.Person, error) {
		return connect.Person{Subject: "ada"}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		page.Show(c)
	}
	return func(address string) (int, string) {
		answer := httptest.NewRecorder()
		page.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, address, nil))
		return answer.Code, answer.Body.String()
	}
}

var oneOf = regexp.MustCompile(`href="(https://mcp\.example\.com/connect/grants/[^"/]*)"`)

// Where all services have keys, in whatever order they come, pages of as many processes have one another's addresses.
func TestPage_GrantsOfReplicas(t *testing.T) {
	a, b := cupboard{"a", []byte("key of a")}, cupboard{"b", []byte("key of b")}
	bare, other := cupboard{id: "b"}, cupboard{"b", []byte("another key")}
	for name, test := range map[string]struct {
		one, another []cupboard
		status       int
	}{
		"the same":       {[]cupboard{a, b}, []cupboard{b, a}, http.StatusOK},
		"another key":    {[]cupboard{a, b}, []cupboard{a, other}, http.StatusNotFound},
		"one has none":   {[]cupboard{a, bare}, []cupboard{a, bare}, http.StatusNotFound},
		"one is missing": {[]cupboard{a, b}, []cupboard{a}, http.StatusNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			_, list := shelf(t, test.one...)("https://mcp.example.com/connect/grants")
			found := oneOf.FindStringSubmatch(list)
			if found == nil {
				t.Fatalf("the list has no links: %s", list)
			}
			if status, page := shelf(t, test.another...)(found[1]); status != test.status {
				t.Errorf("status %d: %s", status, page)
			}
		})
	}
}

// What services and hosts call things cannot be read as the page's own, or change it.
func TestPage_GrantsWithHostileTexts(t *testing.T) {
	show := shelf(t, cupboard{id: "a"})
	_, list := show("https://mcp.example.com/connect/grants")
	one := oneOf.FindStringSubmatch(list)[1]
	for _, address := range []string{"https://mcp.example.com/connect/grants", one, one + "/end", "https://mcp.example.com/connect/grants/all/end"} {
		status, page := show(address)
		if status != http.StatusOK || strings.Contains(page, "<b onclick") || strings.Contains(page, "\x00") || strings.Contains(page, strings.Repeat("x", 100)) {
			t.Errorf("%s, status %d: %s", address, status, page)
		}
	}
	if _, page := show(one); !strings.Contains(page, `\u202e`) {
		t.Errorf("the host's name is not escaped: %s", page)
	}
}
