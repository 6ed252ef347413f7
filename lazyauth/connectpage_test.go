package lazyauth_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/oauth2"
)

const connectURL = "https://mcp.example.com/apps/connect"

// An office is a world in which people call over HTTP, and sign in by a connect page.
type office struct {
	*world.World
	page *lazyauth.ConnectPage
}

// newOffice returns one. Callers have no issuer, as those of [world.ByClientName].
func newOffice(t *testing.T, s world.Setup, flows ...lazyauth.Flow) *office {
	t.Helper()
	page, err := lazyauth.NewConnectPage(lazyauth.ConnectOptions{PublicURL: connectURL, Who: world.SignedInAs("")})
	if err != nil {
		t.Fatal(err)
	}
	if len(flows) == 0 {
		flows = []lazyauth.Flow{lazyauth.FlowRedirect}
	}
	if s.Options.Principal == nil {
		s.Options.Principal = world.ByClientName
	}
	s.AS.People = []fakeas.Person{{Subject: "ada", Name: "Ada Example"}, {Subject: "eve", Name: "Eve Example"}}
	change := s.Service
	s.Service = func(service *lazyauth.Service) {
		service.Flows, service.ConnectPage = flows, page
		if change != nil {
			change(service)
		}
	}
	s.AS.Clients = []fakeas.Client{{
		ID: fakeas.DefaultClientID, RedirectURIs: []string{page.RedirectURI(lazyauth.Service{Name: "Notes", Issuer: fakeas.DefaultIssuer})},
	}}
	return &office{world.New(t, s), page}
}

// asks has ada's host call whoami, and returns the call and the link that she is shown.
func (o *office) asks(era string) (call <-chan world.Reply, link string) {
	o.T.Helper()
	h := o.HostWith(era, world.Manners{Name: "ada", URL: true, React: world.Accepts})
	call = h.Call(o.T.Context(), "whoami", nil)
	all := links(h)
	if len(all) != 1 {
		o.T.Fatalf("ada was shown %d links", len(all))
	}
	if _, code, ok := strings.Cut(all[0], connectURL+"?f="); !ok || len(code) != 22 {
		o.T.Fatalf("the link is %q", all[0])
	}
	return call, all[0]
}

// waits demands that a call still waits.
func (o *office) waits(call <-chan world.Reply) {
	o.T.Helper()
	synctest.Wait()
	select {
	case r := <-call:
		o.T.Fatalf("the call was answered: %s", r.Text())
	default:
	}
}

func shows(t *testing.T, v world.Visit, status int, name string, text ...string) {
	t.Helper()
	if v.Name != name || v.Status != status {
		t.Errorf("the browser shows %q with status %d, want %q with %d", v.Name, v.Status, name, status)
	}
	for _, part := range text {
		if !strings.Contains(v.HTML, part) {
			t.Errorf("page %q does not say %q:\n%s", v.Name, part, v.HTML)
		}
	}
}

// The person's host calls, their browser passes the page, and that very call goes on. No VerifyUser is there.
func TestConnectPage_HeldCallGoesOn(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		o := newOffice(t, world.Setup{})
		call, link := o.asks(era)
		ada := o.Visitor(o.page, "ada")
		shows(t, ada.Get(link), http.StatusOK, "consent", "Connect Notes for ada?", "says it is <q>ada</q>", "<li>profile</li>", "signed in as ada", "ada will be able to use what you connect", "I am not ada")
		o.waits(call)
		shows(t, ada.Connects(link), http.StatusOK, "signed-in", "Notes is connected")
		(<-call).Succeeds(t, "Ada")
		for name, c := range ada.Cookies() {
			if !strings.HasPrefix(name, "__Host-") || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
				t.Errorf("cookie %+v", c)
			}
		}
		shows(t, ada.Get(link), http.StatusForbidden, "foreign")
	})
}

// What a program calls itself is its own to choose. As which client it has got its bearer token is the issuer's word, and
// the page says that beside it.
func TestConnectPage_CallersClient(t *testing.T) {
	for name, claims := range map[string]map[string]any{
		"RFC 9068":        {"client_id": "https://agent.example/client.json"},
		"OpenID Connect":  {"azp": "https://agent.example/client.json"},
		"not known":       nil,
		"no text":         {"client_id": 7},
		"a hostile text":  {"client_id": "x</q><h1>Continue\u202e"},
		"longer than all": {"client_id": strings.Repeat("W", 10_000)},
	} {
		synctest.Test(t, func(t *testing.T) {
			o := newOffice(t, world.Setup{Options: lazyauth.Options{Principal: func(_ context.Context, req *mcp.CallToolRequest) (lazyauth.Principal, error) {
				return lazyauth.Principal{Subject: req.Extra.TokenInfo.UserID}, nil
			}}})
			endpoint := o.EndpointBehind(func(_ context.Context, token string, _ *http.Request) (*auth.TokenInfo, error) {
				return &auth.TokenInfo{UserID: token, Extra: claims, Expiration: time.Now().Add(time.Hour)}, nil
			})
			asked := <-endpoint.Send(t.Context(), world.Request{User: "ada", Caps: world.URLAlone})
			asked.State(t)
			prompt, ok := asked.Result.InputRequests[world.ResponseKey].(*mcp.ElicitParams)
			if !ok {
				t.Fatalf("%s: ada is not asked", name)
			}
			v := o.Visitor(o.page, "ada").Get(prompt.URL)
			shows(t, v, http.StatusOK, "consent")
			said := strings.Contains(v.HTML, "as the client <q>")
			switch name {
			case "RFC 9068", "OpenID Connect":
				shows(t, v, http.StatusOK, "consent", "as the client <q>https://agent.example/client.json</q>")
			case "not known", "no text":
				if said {
					t.Errorf("%s: the page names a client: %s", name, v.HTML)
				}
			default:
				if !said || strings.Contains(v.HTML, "<h1>Continue") || strings.Contains(v.HTML, "\u202e") || strings.Contains(v.HTML, strings.Repeat("W", 300)) {
					t.Errorf("%s: %s", name, v.HTML)
				}
			}
		})
	}
}

// Another person's browser with the link learns nothing, whatever the link is, and the call waits on.
func TestConnectPage_SomebodyElsesBrowser(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		o := newOffice(t, world.Setup{})
		call, link := o.asks(era)
		eve := o.Visitor(o.page, "eve")
		foreign := eve.Get(link)
		shows(t, foreign, http.StatusForbidden, "foreign", "not for eve")
		if strings.Contains(foreign.HTML, "ada") || strings.Contains(foreign.HTML, "Notes") {
			t.Errorf("eve reads whose link it is: %s", foreign.HTML)
		}
		unknown := eve.Get(connectURL + "?f=AAAAAAAAAAAAAAAAAAAAAA")
		for name, values := range foreign.Header {
			if strings.Join(unknown.Header[name], ",") != strings.Join(values, ",") {
				t.Errorf("%s differs: %q and %q", name, values, unknown.Header[name])
			}
		}
		if unknown.HTML != foreign.HTML || unknown.Status != foreign.Status || len(eve.Cookies()) > 0 {
			t.Error("an unknown link looks unlike somebody else's")
		}
		nobody := o.Visitor(o.page, "")
		shows(t, nobody.Get(link), http.StatusForbidden, "signed-out")
		o.waits(call)
		shows(t, o.Visitor(o.page, "ada").Connects(link), http.StatusOK, "signed-in")
		(<-call).Succeeds(t, "Ada")
		if ended := eve.Get(link); ended.HTML != unknown.HTML {
			t.Error("a link that has ended looks unlike an unknown one")
		}
	})
}

// Programs that look at links before people do use nothing up, and are given no cookie.
func TestConnectPage_Scanned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, world.Setup{})
		call, link := o.asks(world.Modern)
		for _, user := range []string{"", "ada"} {
			scanner := o.Visitor(o.page, user)
			for range 100 {
				for _, method := range []string{http.MethodGet, http.MethodHead} {
					if v := scanner.Do(method, link, nil, nil); v.Location != "" || v.Onward() != "" || len(v.Header["Set-Cookie"]) > 0 {
						t.Fatalf("%s has an effect: %v", method, v.Header)
					}
				}
			}
			shows(t, scanner.Do(http.MethodOptions, link, nil, nil), http.StatusMethodNotAllowed, "nothing")
		}
		o.waits(call)
		o.Visitor(o.page, "ada").Connects(link)
		(<-call).Succeeds(t, "Ada")
	})
}

// Each POST is a new attempt, and retires the one before; both windows are told what is the matter.
func TestConnectPage_PostedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, world.Setup{})
		call, link := o.asks(world.Modern)
		ada := o.Visitor(o.page, "ada")
		first, second := ada.Continues(link), ada.Continues(link)
		shows(t, ada.ComesBack(ada.SignsIn(first, "ada")), http.StatusGone, "newer")
		o.waits(call)
		back := ada.SignsIn(second, "ada")
		shows(t, ada.ComesBack(back), http.StatusOK, "signed-in")
		(<-call).Succeeds(t, "Ada")
		shows(t, ada.ComesBack(back), http.StatusGone, "ended")
	})
}

// The answer counts in the browser, and for the person, that began the attempt, on its path, and from its issuer, once.
func TestConnectPage_Callback(t *testing.T) {
	const other = "https://other.example"
	for name, bring := range map[string]func(t *testing.T, o *office, ada *world.Visitor, back string) (world.Visit, int, string){
		"without a cookie": func(_ *testing.T, o *office, _ *world.Visitor, back string) (world.Visit, int, string) {
			return o.Visitor(o.page, "ada").ComesBack(back), http.StatusForbidden, "elsewhere"
		},
		"in somebody else's browser": func(_ *testing.T, o *office, _ *world.Visitor, back string) (world.Visit, int, string) {
			return o.Visitor(o.page, "eve").ComesBack(back), http.StatusForbidden, "elsewhere"
		},
		"with the cookie of another attempt": func(_ *testing.T, o *office, ada *world.Visitor, back string) (world.Visit, int, string) {
			v := o.Visitor(o.page, "ada")
			u, _ := url.Parse(back)
			id, _, _ := strings.Cut(u.Query().Get("state"), ".")
			for name, c := range ada.Cookies() {
				if !strings.HasSuffix(name, id) {
					v.Cookies()["__Host-lazyauth-"+id] = &http.Cookie{Name: "__Host-lazyauth-" + id, Value: c.Value}
				}
			}
			if len(v.Cookies()) != 1 {
				o.T.Fatal("there is no other attempt")
			}
			return v.ComesBack(back), http.StatusForbidden, "elsewhere"
		},
		"with another state of the attempt": func(_ *testing.T, _ *office, ada *world.Visitor, back string) (world.Visit, int, string) {
			u, _ := url.Parse(back)
			q := u.Query()
			q.Set("state", q.Get("state")[:17]+strings.Repeat("A", 43))
			u.RawQuery = q.Encode()
			return ada.ComesBack(u.String()), http.StatusForbidden, "elsewhere"
		},
		"after somebody else has signed in": func(_ *testing.T, _ *office, ada *world.Visitor, back string) (world.Visit, int, string) {
			ada.User = "eve"
			defer func() { ada.User = "ada" }()
			return ada.ComesBack(back), http.StatusForbidden, "foreign"
		},
		"after signing out": func(_ *testing.T, _ *office, ada *world.Visitor, back string) (world.Visit, int, string) {
			ada.User = ""
			defer func() { ada.User = "ada" }()
			return ada.ComesBack(back), http.StatusForbidden, "signed-out"
		},
		"from another issuer": func(_ *testing.T, o *office, ada *world.Visitor, back string) (world.Visit, int, string) {
			back = strings.Replace(back, url.QueryEscape(o.AS.Issuer()), url.QueryEscape(other), 1)
			return ada.ComesBack(back), http.StatusBadRequest, "mixed-up"
		},
		"from no issuer, though one is promised": func(_ *testing.T, _ *office, ada *world.Visitor, back string) (world.Visit, int, string) {
			u, _ := url.Parse(back)
			q := u.Query()
			q.Del("iss")
			u.RawQuery = q.Encode()
			return ada.ComesBack(u.String()), http.StatusBadRequest, "mixed-up"
		},
		"on the path of another issuer": func(_ *testing.T, o *office, ada *world.Visitor, back string) (world.Visit, int, string) {
			_, query, _ := strings.Cut(back, "?")
			at := o.page.RedirectURI(lazyauth.Service{Name: "Notes", Issuer: other})
			return ada.ComesBack(at + "?" + query), http.StatusBadRequest, "mixed-up"
		},
		"looked at by HEAD": func(_ *testing.T, _ *office, ada *world.Visitor, back string) (world.Visit, int, string) {
			return ada.Do(http.MethodHead, back, nil, nil), http.StatusMethodNotAllowed, "nothing"
		},
		"loaded in a frame": func(_ *testing.T, _ *office, ada *world.Visitor, back string) (world.Visit, int, string) {
			return ada.Do(http.MethodGet, back, nil, http.Header{"Sec-Fetch-Dest": {"iframe"}}), http.StatusBadRequest, "nothing"
		},
		"loaded ahead of time": func(_ *testing.T, _ *office, ada *world.Visitor, back string) (world.Visit, int, string) {
			return ada.Do(http.MethodGet, back, nil, http.Header{"Sec-Purpose": {"prefetch"}}), http.StatusBadRequest, "nothing"
		},
		"without anything": func(_ *testing.T, _ *office, ada *world.Visitor, back string) (world.Visit, int, string) {
			at, _, _ := strings.Cut(back, "?")
			return ada.ComesBack(at), http.StatusBadRequest, "nothing"
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t, world.Setup{})
				call, link := o.asks(world.Modern)
				ada := o.Visitor(o.page, "ada")
				ada.Continues(link)
				back := ada.SignsIn(ada.Continues(link), "ada")
				v, status, name := bring(t, o, ada, back)
				shows(t, v, status, name)
				o.waits(call)
				if n := o.AS.Count(fakeas.Exchange, ""); n != 0 {
					t.Errorf("%d codes were presented", n)
				}
				shows(t, ada.ComesBack(back), http.StatusOK, "signed-in")
				(<-call).Succeeds(t, "Ada")
			})
		})
	}
}

// Nothing but the form of the page, from the page, for this person, has an effect.
func TestConnectPage_Forged(t *testing.T) {
	for name, forge := range map[string]func(form url.Values, header http.Header){
		"from another site":       func(_ url.Values, h http.Header) { h["Sec-Fetch-Site"] = []string{"cross-site"} },
		"from another name of it": func(_ url.Values, h http.Header) { h["Sec-Fetch-Site"] = []string{"same-site"} },
		"from another origin": func(_ url.Values, h http.Header) {
			h["Sec-Fetch-Site"], h["Origin"] = nil, []string{"https://evil.example"}
		},
		"from who knows where":       func(_ url.Values, h http.Header) { h["Sec-Fetch-Site"] = nil },
		"without a token":            func(f url.Values, _ http.Header) { f.Del("token") },
		"with a token of no page":    func(f url.Values, _ http.Header) { f.Set("token", strings.Repeat("A", 60)) },
		"without an answer":          func(f url.Values, _ http.Header) { f.Del("answer") },
		"with the token for another": func(f url.Values, _ http.Header) { f.Set("f", "AAAAAAAAAAAAAAAAAAAAAA") },
		"with more than a form has":  func(f url.Values, _ http.Header) { f.Set("more", strings.Repeat("A", 5000)) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t, world.Setup{})
				call, link := o.asks(world.Modern)
				ada := o.Visitor(o.page, "ada")
				form, header := ada.Get(link).Form("continue"), http.Header{}
				forge(form, header)
				v := ada.Do(http.MethodPost, connectURL, form, header)
				if v.Name != "forged" || v.Status < 400 || v.Onward() != "" || len(ada.Cookies()) > 0 {
					t.Errorf("page %q with status %d, cookies %v", v.Name, v.Status, ada.Cookies())
				}
				o.waits(call)
				shows(t, ada.Connects(link), http.StatusOK, "signed-in")
				(<-call).Succeeds(t, "Ada")
			})
		})
	}
}

// A token of the attacker's page, for the same link, is not the victim's.
func TestConnectPage_TokenOfAnotherPerson(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, world.Setup{})
		call, link := o.asks(world.Modern)
		form := o.Visitor(o.page, "ada").Get(link).Form("continue")
		shows(t, o.Visitor(o.page, "eve").Do(http.MethodPost, connectURL, form, nil), http.StatusForbidden, "forged")
		o.waits(call)
		world.Later(31 * time.Minute) // which the form does not outlive, nor the link
		shows(t, o.Visitor(o.page, "ada").Do(http.MethodPost, connectURL, form, nil), http.StatusForbidden, "forged")
		<-call
	})
}

// An attacker who has signed the victim's browser in to the attacker's account, and sends the attacker's link, cannot
// keep the page from saying so, twice before anything happens.
func TestConnectPage_LoginCSRF(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, world.Setup{})
		call, link := o.asks(world.Modern) // ada is the attacker
		victim := o.Visitor(o.page, "ada")
		page := victim.Get(link)
		shows(t, page, http.StatusOK, "consent", "You are signed in as ada", "ada will be able to use what you connect", `value="not-me">I am not ada`)
		shows(t, victim.Do(http.MethodPost, connectURL, page.Form("not-me"), nil), http.StatusOK, "not-me", "Nothing was connected", "as ada")
		if len(victim.Cookies()) > 0 {
			t.Errorf("cookies %v", victim.Cookies())
		}
		o.waits(call)
		(<-call).Fails(t, lazyauth.ReasonPending)
	})
}

// What is shown cannot be put into another site's frame, is kept nowhere, and tells the server nothing of where the
// browser came from.
func TestConnectPage_Headers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, world.Setup{})
		call, link := o.asks(world.Modern)
		ada := o.Visitor(o.page, "ada")
		page := ada.Get(link)
		left := ada.Do(http.MethodPost, connectURL, page.Form("continue"), nil)
		back := ada.Get(ada.SignsIn(left.Onward(), "ada"))
		for _, v := range []world.Visit{page, left, back, ada.Get(back.Location), o.Visitor(o.page, "eve").Get(link), o.Visitor(o.page, "").Get(link), ada.Get(connectURL + "/else")} {
			for name, want := range map[string]string{
				"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY", "Cross-Origin-Opener-Policy": "same-origin",
			} {
				if got := v.Header.Get(name); got != want {
					t.Errorf("page %q: %s is %q", v.Name, name, got)
				}
			}
			policy := v.Header.Get("Content-Security-Policy")
			if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "form-action 'self'") != (v.Name == "consent") {
				t.Errorf("page %q: %s", v.Name, policy)
			}
			if strings.Contains(v.HTML, "<script") || strings.Contains(v.HTML, "src=") {
				t.Errorf("page %q loads something", v.Name)
			}
		}
		(<-call).Succeeds(t, "Ada")
	})
}

// Two programs have a page each on one host, at paths of their own, or two processes one page: a browser has the cookies
// of both, of which neither can read the other's, and what is begun at the one ends nothing at the other.
func TestConnectPage_TwoOnOneHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		notes, mail := newOffice(t, world.Setup{}), newOffice(t, world.Setup{})
		call, link := notes.asks(world.Modern)
		_, other := mail.asks(world.Modern)
		ada := notes.Visitor(notes.page, "ada")
		back := ada.SignsIn(ada.Continues(link), "ada")
		elsewhere := mail.Visitor(mail.page, "ada")
		maps.Copy(elsewhere.Cookies(), ada.Cookies())
		for range 3 {
			elsewhere.Continues(other)
		}
		for name := range ada.Cookies() {
			if elsewhere.Cookies()[name] == nil {
				delete(ada.Cookies(), name)
			}
		}
		shows(t, ada.ComesBack(back), http.StatusOK, "signed-in")
		(<-call).Succeeds(t, "Ada")
		for range 20 { // and there are never many
			elsewhere.Continues(other)
		}
		if n := len(elsewhere.Cookies()); n > 8 {
			t.Errorf("%d cookies", n)
		}
	})
}

// A code that the server refuses ends its attempt, and not the sign-in.
func TestConnectPage_CodeRefused(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		o := newOffice(t, world.Setup{})
		call, link := o.asks(era)
		ada := o.Visitor(o.page, "ada")
		u, _ := url.Parse(ada.SignsIn(ada.Continues(link), "ada"))
		q := u.Query()
		q.Set("code", "no-such-code")
		u.RawQuery = q.Encode()
		page := ada.ComesBack(u.String())
		shows(t, page, http.StatusOK, "again", `href="`+link+`"`)
		o.waits(call)
		shows(t, ada.ComesBack(u.String()), http.StatusGone, "already")
		shows(t, ada.Connects(link), http.StatusOK, "signed-in")
		(<-call).Succeeds(t, "Ada")
	})
}

func TestConnectPage_Denied(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		o := newOffice(t, world.Setup{})
		call, link := o.asks(era)
		ada := o.Visitor(o.page, "ada")
		back, err := o.AS.DenyURL(t.Context(), ada.Continues(link))
		if err != nil {
			t.Fatal(err)
		}
		shows(t, ada.ComesBack(back), http.StatusOK, "denied")
		(<-call).Fails(t, lazyauth.ReasonDenied)
		shows(t, ada.Get(link), http.StatusForbidden, "foreign")
	})
}

// Links that nobody minted cost nothing that stays, and callbacks without a cookie do not come to a table.
func TestConnectPage_Flood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, world.Setup{})
		call, link := o.asks(world.Modern)
		eve := o.Visitor(o.page, "eve")
		for range 2000 {
			eve.Get(connectURL + "?f=" + "AAAAAAAAAAAAAAAAAAAAA" + "Q")
			eve.Get(connectURL + "/callback/x?code=a-code-of-nobody&state=AAAAAAAAAAAAAAAA." + strings.Repeat("B", 43))
		}
		if len(eve.Cookies()) > 0 {
			t.Errorf("%d cookies", len(eve.Cookies()))
		}
		o.waits(call)
		ada := o.Visitor(o.page, "ada")
		for range 20 { // windows
			ada.Continues(link)
		}
		if n := len(ada.Cookies()); n > 8 {
			t.Errorf("%d cookies", n)
		}
		shows(t, ada.Connects(link), http.StatusOK, "signed-in")
		(<-call).Succeeds(t, "Ada")
	})
}

// A flight that falls back to the device flow needs VerifyUser, whatever the other flow is.
func TestConnectPage_FallsBackToDevice(t *testing.T) {
	notTheirs := errors.New("not theirs")
	for name, test := range map[string]struct {
		verify func(context.Context, lazyauth.Principal, *oauth2.Token) error
		want   lazyauth.Reason // of the call that is prompted by a code; empty: no code is shown
	}{
		"no VerifyUser":    {nil, ""},
		"one that refuses": {func(context.Context, lazyauth.Principal, *oauth2.Token) error { return notTheirs }, lazyauth.ReasonUnverified},
	} {
		t.Run(name, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				o := newOffice(t, world.Setup{Options: lazyauth.Options{VerifyUser: test.verify}}, lazyauth.FlowRedirect, lazyauth.FlowDevice)
				h := o.HostWith(era, world.Manners{Name: "ada", URL: true, React: world.Accepts})
				(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonPending) // nobody opened the link
				call := h.Call(t.Context(), "whoami", nil)
				all := links(h)
				if last := all[len(all)-1]; test.want == "" {
					if !strings.HasPrefix(last, connectURL) {
						t.Fatalf("ada was shown %q", last)
					}
					o.Visitor(o.page, "ada").Connects(last)
					(<-call).Succeeds(t, "Ada")
					return
				}
				o.Approves() // whoever it is
				(<-call).Fails(t, test.want)
			})
		})
	}
}

// Where nothing but the device flow is left, nobody is prompted whose grant nothing would confirm.
func TestConnectPage_NothingButDevice(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		o := newOffice(t, world.Setup{Service: func(s *lazyauth.Service) { s.Flows, s.ConnectPage = []lazyauth.Flow{lazyauth.FlowDevice}, nil }})
		h := o.HostWith(era, world.Manners{Name: "ada", URL: true, React: world.Accepts})
		(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonUnverified)
		h.WantPrompts(0)
	})
}

// A VerifyUser is asked also of who passed the page: it knows accounts.
func TestConnectPage_VerifyUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		o := newOffice(t, world.Setup{Options: lazyauth.Options{VerifyUser: func(context.Context, lazyauth.Principal, *oauth2.Token) error {
			asked++
			return errors.New("another account")
		}}})
		call, link := o.asks(world.Modern)
		shows(t, o.Visitor(o.page, "ada").Connects(link), http.StatusOK, "unfinished")
		(<-call).Fails(t, lazyauth.ReasonUnverified)
		if asked != 1 {
			t.Errorf("asked %d times", asked)
		}
	})
}

// byTable is a Map that goes by a table, as of the ids that a tenant has for its people.
func byTable(oid map[lazyauth.Principal]string) func(lazyauth.Principal) (lazyauth.Principal, error) {
	return func(p lazyauth.Principal) (lazyauth.Principal, error) {
		if oid[p] == "" {
			return lazyauth.Principal{}, errors.New("unknown")
		}
		return lazyauth.Principal{Issuer: "tenant", Subject: oid[p]}, nil
	}
}

// Two sides that know one person by different names are compared by what both are mapped to, exactly.
func TestConnectPage_Map(t *testing.T) {
	oid := map[lazyauth.Principal]string{
		{Subject: "ada"}: "1", {Issuer: "web", Subject: "pairwise-of-ada"}: "1", {Issuer: "web", Subject: "pairwise-of-eve"}: "2",
	}
	page, err := lazyauth.NewConnectPage(lazyauth.ConnectOptions{
		PublicURL: connectURL, Who: world.SignedInAs("web"),
		Map: byTable(oid),
	})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, world.Setup{Service: func(s *lazyauth.Service) { s.ConnectPage = page }})
		call, link := o.asks(world.Modern)
		shows(t, o.Visitor(page, "pairwise-of-eve").Get(link), http.StatusForbidden, "foreign")
		shows(t, o.Visitor(page, "ada").Get(link), http.StatusForbidden, "signed-out") // whom the web side does not know
		ada := o.Visitor(page, "pairwise-of-ada")
		shows(t, ada.ComesBack(ada.SignsIn(ada.Continues(link), "ada")), http.StatusOK, "signed-in")
		(<-call).Succeeds(t, "Ada")
	})
}

// A caller whom the mapping does not know is not asked, and the model reads nothing of the author's.
func TestConnectPage_MapDoesNotKnowTheCaller(t *testing.T) {
	page, err := lazyauth.NewConnectPage(lazyauth.ConnectOptions{
		PublicURL: connectURL, Who: world.SignedInAs(""),
		Map: func(lazyauth.Principal) (lazyauth.Principal, error) {
			return lazyauth.Principal{}, errors.New("no row in people")
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	world.InBothEras(t, func(t *testing.T, era string) {
		o := newOffice(t, world.Setup{Service: func(s *lazyauth.Service) { s.ConnectPage = page }})
		h := o.HostWith(era, world.Manners{Name: "ada", URL: true, React: world.Accepts})
		r := <-h.Call(t.Context(), "whoami", nil)
		if r.Fails(t, lazyauth.ReasonUnverified); strings.Contains(r.Text(), "no row") {
			t.Errorf("the model reads %q", r.Text())
		}
		h.WantPrompts(0)
	})
}

// What cannot work is said at start-up.
func TestNewConnectPage_Errors(t *testing.T) {
	who := world.SignedInAs("")
	for name, test := range map[string]struct {
		options lazyauth.ConnectOptions
		want    string
	}{
		"no Who":                {lazyauth.ConnectOptions{PublicURL: connectURL}, "Who is nil"},
		"no address":            {lazyauth.ConnectOptions{Who: who}, "PublicURL"},
		"http":                  {lazyauth.ConnectOptions{Who: who, PublicURL: "http://mcp.example.com/connect"}, "PublicURL"},
		"a query":               {lazyauth.ConnectOptions{Who: who, PublicURL: connectURL + "?x"}, "PublicURL"},
		"a slash at the end":    {lazyauth.ConnectOptions{Who: who, PublicURL: connectURL + "/"}, "slash"},
		"a sign-in without TLS": {lazyauth.ConnectOptions{Who: who, PublicURL: connectURL, SignInURL: "http://idp.example"}, "SignInURL"},
		"all people are one":    {lazyauth.ConnectOptions{Who: who, PublicURL: connectURL, Map: func(lazyauth.Principal) (lazyauth.Principal, error) { return lazyauth.Principal{Subject: "x"}, nil }}, "same identity"},
		"a Map that panics":     {lazyauth.ConnectOptions{Who: who, PublicURL: connectURL, Map: func(lazyauth.Principal) (lazyauth.Principal, error) { panic("x") }}, "Map failed"},
	} {
		if _, err := lazyauth.NewConnectPage(test.options); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	page, err := lazyauth.NewConnectPage(lazyauth.ConnectOptions{Who: who, PublicURL: "http://127.0.0.1:8080/connect"})
	if err != nil {
		t.Fatal(err)
	}
	service := lazyauth.Service{Name: "Notes", Issuer: "https://as.example", ClientID: "x", ConnectPage: page}
	if _, err := lazyauth.New(service, nil); err == nil || !strings.Contains(err.Error(), "FlowRedirect") {
		t.Errorf("without the flow: %v", err)
	}
	service.Flows = []lazyauth.Flow{lazyauth.FlowRedirect}
	if _, err := lazyauth.New(service, &lazyauth.Options{InsecureSingleUser: true}); err == nil || !strings.Contains(err.Error(), "InsecureSingleUser") {
		t.Errorf("with one user: %v", err)
	}
	service.RedirectURI = "http://127.0.0.1/callback"
	if _, err := lazyauth.New(service, nil); err == nil || !strings.Contains(err.Error(), "RedirectURI") {
		t.Errorf("with a redirect URI: %v", err)
	}
}
