package fakeas_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
)

func TestViolation_EachRuleProvoked(t *testing.T) {
	for _, b := range breaches {
		t.Run(string(b.rule), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPeer(t, strictOptions())
				a, err := p.do(b.breach(p))
				if b.outcome != "" && (err != nil || outcome(a) != b.outcome) {
					t.Errorf("answer %q, want %q (%v)", outcome(a), b.outcome, err)
				}
				if got := p.broke(); !slices.Equal(got, []fakeas.Rule{b.rule}) {
					t.Errorf("violations: %v", p.as.Violations())
				}
				for _, v := range p.as.Violations() {
					if text := v.String(); v.Rule.Section() == "" || !strings.Contains(text, v.Rule.Section()) || !strings.Contains(text, string(b.rule)) {
						t.Errorf("printed as %q", text)
					}
				}
			})
		})
	}
}

// Every rule that the package names is provoked above.
func TestViolation_NoRuleForgotten(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "violation.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var named []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); ok && kind.Name == "Rule" {
			literal, _ := spec.Values[0].(*ast.BasicLit)
			value, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			named = append(named, value)
		}
		return true
	})
	var provoked []string
	for _, b := range breaches {
		provoked = append(provoked, string(b.rule))
	}
	slices.Sort(named)
	slices.Sort(provoked)
	if !slices.Equal(named, provoked) {
		t.Errorf("named:    %v\nprovoked: %v", named, provoked)
	}
}

// Variants of a breach that a client is as likely to commit.
func TestViolation_SecretsOutOfPlace(t *testing.T) {
	const form = "application/x-www-form-urlencoded"
	for _, test := range []struct {
		name   string
		breach func(p *peer) *http.Request
		rules  []fakeas.Rule
	}{
		{"bearer token to the authorization server", func(p *peer) *http.Request {
			return p.bearer(p.as.URL(fakeas.Metadata), "x")
		}, []fakeas.Rule{fakeas.BearerElsewhere}},
		{"device code to a page", func(p *peer) *http.Request {
			return p.request(http.MethodGet, p.as.URL(fakeas.Page)+"?device_code=x", "", "")
		}, []fakeas.Rule{fakeas.DeviceCodeElsewhere}},
		{"device code and secret after a redirect to another host", func(p *peer) *http.Request {
			return p.request(http.MethodPost, "https://collector.example.net/token", form, "device_code=x&client_secret=y")
		}, []fakeas.Rule{fakeas.SecretElsewhere, fakeas.DeviceCodeElsewhere}},
		{"refresh token in the query", func(p *peer) *http.Request {
			req := p.form(fakeas.Refresh, "grant_type", "refresh_token", "refresh_token", "x")
			req.URL.RawQuery = "refresh_token=x"
			return req
		}, []fakeas.Rule{fakeas.RefreshTokenElsewhere}},
		{"refresh token to another host", func(p *peer) *http.Request {
			return p.request(http.MethodPost, "https://api.example.test:8443/", form, "refresh_token=x")
		}, []fakeas.Rule{fakeas.RefreshTokenElsewhere}},
		{"parameter in the query", func(p *peer) *http.Request {
			req := p.form(fakeas.DeviceAuthorization, "scope", "profile")
			req.URL.RawQuery = "audience=x"
			return req
		}, []fakeas.Rule{fakeas.UnexpectedParameter}},
		{"device code as a bearer token", func(p *peer) *http.Request {
			return p.bearer(p.as.URL(fakeas.Me), p.authorize("profile").text("device_code"))
		}, []fakeas.Rule{fakeas.DeviceCodeElsewhere}},
		{"nothing of the kind", func(p *peer) *http.Request {
			return p.request(http.MethodGet, "https://www.example.net/", "", "")
		}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPeer(t, nil)
			p.do(test.breach(p)) // other hosts cannot be reached, as they should
			if got := p.broke(); !slices.Equal(got, test.rules) {
				t.Errorf("violations: %v", p.as.Violations())
			}
		})
	}
}

func TestViolation_ClientAuthentication(t *testing.T) {
	for _, test := range []struct {
		name     string
		id       string
		body     []string // more of the form
		header   []string // user and password, as sent
		outcome  string
		violated []fakeas.Rule
	}{
		{"public", fakeas.DefaultClientID, nil, nil, "nothing", nil},
		{"basic", "", nil, []string{"basic", "s3cret"}, "nothing", nil},
		{"basic and its own ID in the body", "basic", nil, []string{"basic", "s3cret"}, "nothing", nil},
		{"basic, form-encoded", "", nil, []string{"odd%3A+id", "p%25cent%2Bplus"}, "nothing", nil},
		{"post", "post", []string{"client_secret", "s3cret"}, nil, "nothing", nil},
		{"wrong secret", "", nil, []string{"basic", "wrong"}, "invalid_client", nil},
		{"unknown client", "nobody", nil, nil, "invalid_client", nil},
		{"no client", "", nil, nil, "invalid_request", []fakeas.Rule{fakeas.MissingParameter}},
		{"secret forgotten", "basic", nil, nil, "invalid_client", []fakeas.Rule{fakeas.WrongAuthentication}},
		{"public with a header", "", nil, []string{fakeas.DefaultClientID, ""}, "invalid_client", []fakeas.Rule{fakeas.WrongAuthentication}},
		{"public with a secret", fakeas.DefaultClientID, []string{"client_secret", "x"}, nil, "invalid_client", []fakeas.Rule{fakeas.WrongAuthentication}},
		{"post in the header", "", nil, []string{"post", "s3cret"}, "invalid_client", []fakeas.Rule{fakeas.WrongAuthentication}},
		{"percent not encoded", "", nil, []string{"odd", "p%cent+plus"}, "invalid_client", []fakeas.Rule{fakeas.WrongAuthentication}},
		{"another ID in the body", "post", nil, []string{"basic", "s3cret"}, "invalid_request", []fakeas.Rule{fakeas.TwoAuthentications}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPeer(t, strictOptions())
			req := p.form(fakeas.DeviceAuthorization, append([]string{"client_id", test.id, "scope", "profile"}, test.body...)...)
			if test.header != nil {
				req.SetBasicAuth(test.header[0], test.header[1])
			}
			a := p.must(req)
			if got := outcome(a); got != test.outcome {
				t.Errorf("answer %q, want %q", got, test.outcome)
			}
			if a.text("error") == "invalid_client" && (a.status != http.StatusUnauthorized || a.header.Get("WWW-Authenticate") == "") {
				t.Errorf("status %d, WWW-Authenticate %q", a.status, a.header.Get("WWW-Authenticate"))
			}
			if got := p.broke(); !slices.Equal(got, test.violated) {
				t.Errorf("violations: %v", p.as.Violations())
			}
		})
	}
}

// What a robust client does after faults is no violation.
func TestViolation_NoneByARobustClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, nil)
		p.client.Timeout = 10 * time.Second
		code := p.authorize("profile").text("device_code")
		p.as.Script(fakeas.Poll,
			fakeas.Drop(), fakeas.Unavailable(http.StatusServiceUnavailable, time.Minute), fakeas.Stall(),
			fakeas.SlowDown(20*time.Second), fakeas.SlowDown(0), fakeas.Raw(http.StatusBadRequest, nil, ""), fakeas.Cut())
		for _, seconds := range []int{0, 5, 60, 10, 20, 25, 25, 25} {
			time.Sleep(time.Duration(seconds) * time.Second)
			p.do(p.pollRequest(code)) // most of them fail
		}
		p.flawless()
		if n := p.as.Count(fakeas.Poll, ""); n != 8 {
			t.Errorf("%d polls", n)
		}
	})
}
