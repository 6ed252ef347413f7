package lazyauth_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

const grantsURL = connectURL + "/grants"

var grantLink = regexp.MustCompile(`href="(` + regexp.QuoteMeta(grantsURL) + `/[A-Za-z0-9_-]{22})"`)

// grantsOf returns the addresses of what the list shows.
func grantsOf(list world.Visit) (all []string) {
	for _, found := range grantLink.FindAllStringSubmatch(list.HTML, -1) {
		all = append(all, found[1])
	}
	return all
}

// connects has a user's host call whoami, and them pass the page.
func (o *office) connects(user string) *world.Host {
	o.T.Helper()
	h := o.HostWith(world.Modern, world.Manners{Name: user, URL: true, React: world.Accepts})
	call := h.Call(o.T.Context(), "whoami", nil)
	shown := links(h)
	shows(o.T, o.Visitor(o.page, user).Connects(shown[len(shown)-1]), http.StatusOK, "signed-in")
	r := <-call
	r.Succeeds(o.T, "")
	return h
}

// posts sends the form of a page.
func posts(v *world.Visitor, address, answer string) world.Visit {
	page := v.Get(address)
	return v.Do(http.MethodPost, address, page.Form(answer), nil)
}

// A person sees what they have granted, since when and through which host; and nobody else does.
func TestMyGrants_OnesOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, world.Setup{})
		ada, eve := o.Visitor(o.page, "ada"), o.Visitor(o.page, "eve")
		shows(t, ada.Get(grantsURL), http.StatusOK, "granted", "Nothing.")
		o.connects("ada")
		list := ada.Get(grantsURL)
		shows(t, list, http.StatusOK, "granted", "use these accounts of yours", ">Notes</a>", "2000", "knows you as ada")
		mine := grantsOf(list)
		if len(mine) != 1 {
			t.Fatalf("the list has %q", mine)
		}
		shows(t, ada.Get(mine[0]), http.StatusOK, "details", "<h1>Notes</h1>", "programs that say they are <q>ada</q>", "<li>profile</li>", "is not recorded", "Sign in again")
		shows(t, eve.Get(grantsURL), http.StatusOK, "granted", "Nothing.")
		for _, page := range []string{"", "/end"} {
			others, unknown := eve.Get(mine[0]+page), eve.Get(grantsURL+"/AAAAAAAAAAAAAAAAAAAAAA"+page)
			shows(t, others, http.StatusNotFound, "no-grant")
			if others.HTML != unknown.HTML || others.Status != unknown.Status || strings.Contains(others.HTML, "Notes") {
				t.Error("somebody else's grant looks unlike an unknown one")
			}
		}
		for _, address := range []string{grantsURL, mine[0], mine[0] + "/end", grantsURL + "/all/end"} {
			shows(t, o.Visitor(o.page, "").Get(address), http.StatusForbidden, "signed-out")
		}
		for _, address := range []string{grantsURL + "/x", grantsURL + "/all", grantsURL + "/end", grantsURL + "//end", mine[0] + "/else", grantsURL + "s"} {
			shows(t, ada.Get(address), http.StatusNotFound, "nothing")
		}
		if strings.Contains(mine[0], "ada") || len(ada.Cookies()) > 0 {
			t.Errorf("the address is %q, and the cookies %v", mine[0], ada.Cookies())
		}
	})
}

// To look has no effect; to end takes a page that says what will happen, and its form. The next call asks.
func TestMyGrants_EndsOne(t *testing.T) {
	for name, kept := range map[string]func() store.Store{"in memory": func() store.Store { return nil }, "stored": store.Memory} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t, world.Setup{Options: lazyauth.Options{Store: kept()}})
				h := o.connects("ada")
				o.connects("eve")
				ada := o.Visitor(o.page, "ada")
				mine := grantsOf(ada.Get(grantsURL))[0]
				for _, method := range []string{http.MethodGet, http.MethodHead} {
					for _, address := range []string{grantsURL, mine, mine + "/end", grantsURL + "/all/end"} {
						ada.Do(method, address, nil, nil)
					}
				}
				if n := o.AS.Count(fakeas.Revocation, ""); n != 0 {
					t.Fatalf("looking has revoked %d tokens", n)
				}
				shows(t, ada.Get(mine+"/end"), http.StatusOK, "ending", "End Notes?", "Keep it")
				form := ada.Get(mine + "/end").Form("end")
				shows(t, ada.Do(http.MethodPost, mine+"/end", form, nil), http.StatusOK, "over", "It has ended")
				shows(t, ada.Do(http.MethodPost, mine+"/end", form, nil), http.StatusNotFound, "no-grant")
				shows(t, ada.Get(grantsURL), http.StatusOK, "granted", "Nothing.")
				if list := o.Visitor(o.page, "eve").Get(grantsURL); len(grantsOf(list)) != 1 {
					t.Errorf("eve's is gone, too: %s", list.HTML)
				}
				call := h.Call(t.Context(), "whoami", nil)
				all := links(h)
				if len(all) != 2 {
					t.Fatalf("she was asked %d times", len(all))
				}
				ada.Connects(all[len(all)-1])
				(<-call).Succeeds(t, "Ada")
			})
		})
	}
}

// All of it ends, the sign-ins under way with it.
func TestMyGrants_EndsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, world.Setup{Options: lazyauth.Options{Account: lazyauth.AccountFromArgument("text")}})
		ada := o.Visitor(o.page, "ada")
		h := o.HostWith(world.Modern, world.Manners{Name: "ada", URL: true, React: world.Accepts})
		for _, account := range []string{"home", "work"} {
			call := h.Call(t.Context(), "create_note", world.Note{Text: account})
			all := links(h)
			ada.Connects(all[len(all)-1])
			(<-call).Succeeds(t, account)
		}
		waiting := h.Call(t.Context(), "create_note", world.Note{Text: "third"})
		all := links(h)
		onward := ada.Continues(all[len(all)-1])
		shows(t, ada.Get(grantsURL), http.StatusOK, "granted", "account <q>home</q>", "account <q>work</q>")
		shows(t, ada.Get(grantsURL+"/all/end"), http.StatusOK, "ending-all", "<q>home</q>", "<q>work</q>")
		shows(t, posts(ada, grantsURL+"/all/end", "end"), http.StatusOK, "over", "It has ended")
		(<-waiting).Fails(t, lazyauth.ReasonDenied)
		shows(t, ada.ComesBack(ada.SignsIn(onward, "ada")), http.StatusGone, "ended")
		shows(t, ada.Get(grantsURL), http.StatusOK, "granted", "Nothing.")
		shows(t, posts(ada, grantsURL+"/all/end", "end"), http.StatusOK, "over", "There was nothing to end")
	})
}

// What the server has not ended is said, and why.
func TestMyGrants_NotRevoked(t *testing.T) {
	for name, test := range map[string]struct {
		metadata func(map[string]any)
		fault    []fakeas.Behaviour
		says     string
	}{
		"it has no way":       {metadata: func(m map[string]any) { delete(m, "revocation_endpoint") }, says: "has no way to be told"},
		"it does not confirm": {fault: []fakeas.Behaviour{fakeas.Error(http.StatusServiceUnavailable, "temporarily_unavailable"), fakeas.Error(http.StatusServiceUnavailable, "temporarily_unavailable")}, says: "did not confirm"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t, world.Setup{AS: fakeas.Options{Metadata: test.metadata}})
				o.connects("ada")
				o.AS.Script(fakeas.Revocation, test.fault...)
				ada := o.Visitor(o.page, "ada")
				over := posts(ada, grantsOf(ada.Get(grantsURL))[0]+"/end", "end")
				shows(t, over, http.StatusOK, "over", "It has ended", "ended here alone", test.says, "in your account at Notes")
				shows(t, ada.Get(grantsURL), http.StatusOK, "granted", "Nothing.")
			})
		})
	}
}

// A person signs in again: programs go on with what there was until then, and with what is new afterwards, though it
// has less. Who says no keeps what there was.
func TestMyGrants_SignsInAgain(t *testing.T) {
	for name, kept := range map[string]func() store.Store{"in memory": func() store.Store { return nil }, "stored": store.Memory} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := kept()
				var audit []string
				o := newOffice(t, world.Setup{
					AS:      fakeas.Options{TokenLifetime: time.Hour},
					Options: lazyauth.Options{Store: s, Audit: &lazyauth.Audit{Record: func(_ context.Context, e lazyauth.AuditEntry) { audit = append(audit, string(e.Event)) }}},
				})
				h := o.HostWith(world.Modern, world.Manners{Name: "ada", URL: true, React: world.Accepts})
				ada := o.Visitor(o.page, "ada")
				call := h.Call(t.Context(), "create_note", world.Note{Text: "one"})
				ada.Connects(links(h)[0])
				(<-call).Succeeds(t, "one")
				who := lazyauth.Principal{Subject: "ada"}
				before, err := o.Auth.Status(t.Context(), who)
				if err != nil {
					t.Fatal(err)
				}
				mine := grantsOf(ada.Get(grantsURL))[0]

				refused := posts(ada, mine, "again")
				if refused.Status != http.StatusSeeOther || !strings.HasPrefix(refused.Location, connectURL+"?f=") {
					t.Fatalf("status %d, to %q: %s", refused.Status, refused.Location, refused.HTML)
				}
				shows(t, ada.Get(refused.Location), http.StatusOK, "consent", "Connect Notes for ada?", "A program that uses mcp.example.com asks for it", "What you have allowed before")
				h.Gets("create_note", world.Note{Text: "two"}, "two")
				denied, err := o.AS.DenyURL(t.Context(), ada.Continues(refused.Location))
				if err != nil {
					t.Fatal(err)
				}
				shows(t, ada.ComesBack(denied), http.StatusOK, "denied")
				synctest.Wait() // until that sign-in has ended, which nobody joins then
				h.Gets("create_note", world.Note{Text: "three"}, "three")

				link := posts(ada, mine, "again").Location
				if second := posts(ada, mine, "again").Location; second != link {
					t.Errorf("another sign-in was begun: %q, %q", link, second)
				}
				back, err := o.AS.ApproveURL(t.Context(), ada.Continues(link), "profile")
				if err != nil {
					t.Fatal(err)
				}
				shows(t, ada.ComesBack(back), http.StatusOK, "signed-in")
				after, err := o.Auth.Status(t.Context(), who)
				if err != nil || after.ID == before.ID || after.Scopes.String() != "profile" {
					t.Fatalf("after: %+v, %v", after, err)
				}
				h.Gets("whoami", nil, "Ada")
				if after := grantsOf(ada.Get(grantsURL)); !slices.Equal(after, []string{mine}) {
					t.Errorf("it has another address: %q, %q", after, mine)
				}
				synctest.Wait()
				if s != nil { // what was given before does not come back from there
					another := newOffice(t, world.Setup{Shared: o.AS, Options: lazyauth.Options{Store: s}})
					if stored, err := another.Auth.Status(t.Context(), who); err != nil || stored.ID != after.ID {
						t.Errorf("the store has %+v, %v", stored, err)
					}
				}
				if got := strings.Join(audit, ", "); got != "granted, granted" {
					t.Errorf("the audit has %s", got)
				}
				h.WantPrompts(1)
			})
		})
	}
}

// What was not sent from the page, for this grant, by this person, changes nothing.
func TestMyGrants_Forged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, world.Setup{})
		o.connects("ada")
		o.connects("eve")
		ada, eve := o.Visitor(o.page, "ada"), o.Visitor(o.page, "eve")
		mine, eves := grantsOf(ada.Get(grantsURL))[0], grantsOf(eve.Get(grantsURL))[0]
		details, ending, all := ada.Get(mine), ada.Get(mine+"/end"), ada.Get(grantsURL+"/all/end")
		with := func(f url.Values, change func(url.Values)) url.Values { change(f); return f }
		noToken := func(f url.Values) { f.Del("token") }
		for name, forged := range map[string]struct {
			address string
			form    url.Values
			header  http.Header
		}{
			"no token":                   {mine + "/end", with(ending.Form("end"), noToken), nil},
			"no token, all":              {grantsURL + "/all/end", with(all.Form("end"), noToken), nil},
			"no token, again":            {mine, with(details.Form("again"), noToken), nil},
			"the token of another page":  {mine + "/end", details.Form("end"), nil},
			"that of the end, for all":   {grantsURL + "/all/end", ending.Form("end"), nil},
			"somebody else's token":      {mine + "/end", eve.Get(eves + "/end").Form("end"), nil},
			"another site":               {mine + "/end", ending.Form("end"), http.Header{"Sec-Fetch-Site": {"cross-site"}}},
			"another site, all":          {grantsURL + "/all/end", all.Form("end"), http.Header{"Sec-Fetch-Site": {"same-site"}}},
			"another site, again":        {mine, details.Form("again"), http.Header{"Sec-Fetch-Site": {"none"}}},
			"does not say where from":    {mine + "/end", ending.Form("end"), http.Header{"Sec-Fetch-Site": nil}},
			"no answer":                  {mine + "/end", with(ending.Form("end"), func(f url.Values) { f.Del("answer") }), nil},
			"two answers":                {mine + "/end", with(ending.Form("end"), func(f url.Values) { f.Add("answer", "end") }), nil},
			"the answer of another page": {mine + "/end", ending.Form("again"), nil},
			"too long":                   {mine + "/end", with(ending.Form("end"), func(f url.Values) { f.Set("more", strings.Repeat("x", 5000)) }), nil},
		} {
			v := ada.Do(http.MethodPost, forged.address, forged.form, forged.header)
			if v.Name != "forged" || v.Status != http.StatusForbidden && v.Status != http.StatusBadRequest {
				t.Errorf("%s: page %q, status %d", name, v.Name, v.Status)
			}
		}
		// Hers, in her browser, from her page.
		shows(t, eve.Do(http.MethodPost, mine+"/end", eve.Get(eves+"/end").Form("end"), nil), http.StatusForbidden, "forged")
		for _, method := range []string{http.MethodDelete, http.MethodPut} {
			shows(t, ada.Do(method, mine+"/end", ending.Form("end"), nil), http.StatusMethodNotAllowed, "nothing")
		}
		shows(t, ada.Do(http.MethodPost, grantsURL, all.Form("end"), nil), http.StatusMethodNotAllowed, "nothing")
		time.Sleep(31 * time.Minute)
		shows(t, ada.Do(http.MethodPost, mine+"/end", ending.Form("end"), nil), http.StatusForbidden, "forged")
		if len(grantsOf(ada.Get(grantsURL))) != 1 || o.AS.Count(fakeas.Revocation, "") != 0 || len(o.AS.AuthorizationRequests()) != 2 {
			t.Error("something has changed")
		}
	})
}

// All pages are kept to themselves, and send their forms to nobody else.
func TestMyGrants_Headers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, world.Setup{})
		o.connects("ada")
		ada := o.Visitor(o.page, "ada")
		mine := grantsOf(ada.Get(grantsURL))[0]
		forms := []string{"details", "ending", "ending-all"}
		for _, v := range []world.Visit{
			ada.Get(grantsURL), ada.Get(mine), ada.Get(mine + "/end"), ada.Get(grantsURL + "/all/end"), posts(ada, mine, "again"),
			posts(ada, mine+"/end", "end"), ada.Get(mine), ada.Get(grantsURL + "/x"),
		} {
			for name, want := range map[string]string{
				"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY", "Cross-Origin-Opener-Policy": "same-origin",
			} {
				if got := v.Header.Get(name); got != want {
					t.Errorf("page %q: %s is %q", v.Name, name, got)
				}
			}
			policy := v.Header.Get("Content-Security-Policy")
			if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "form-action 'self'") != slices.Contains(forms, v.Name) {
				t.Errorf("page %q: %s", v.Name, policy)
			}
			if strings.Contains(v.HTML, "<script") || strings.Contains(v.HTML, "src=") {
				t.Errorf("page %q loads something", v.Name)
			}
		}
	})
}

// Where people have another subject at the page than in their calls, they see what their calls have: also what another
// process has stored, but nobody else's, and nothing once they are another person by the mapping.
func TestMyGrants_Mapped(t *testing.T) {
	for name, s := range map[string]store.Store{"in memory": nil, "stored": store.Memory()} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				oid := map[lazyauth.Principal]string{
					{Subject: "ada"}: "1", {Issuer: "web", Subject: "pairwise-of-ada"}: "1",
					{Subject: "eve"}: "2", {Issuer: "web", Subject: "pairwise-of-eve"}: "2",
				}
				newPage := func() *lazyauth.ConnectPage {
					page, err := lazyauth.NewConnectPage(lazyauth.ConnectOptions{
						PublicURL: connectURL, Who: world.SignedInAs("web"),
						Map: byTable(oid),
					})
					if err != nil {
						t.Fatal(err)
					}
					return page
				}
				page := newPage()
				o := newOffice(t, world.Setup{Service: func(s *lazyauth.Service) { s.ConnectPage = page }, Options: lazyauth.Options{Store: s}})
				for _, user := range []string{"ada", "eve"} {
					h := o.HostWith(world.Modern, world.Manners{Name: user, URL: true, React: world.Accepts})
					call := h.Call(t.Context(), "whoami", nil)
					visitor := o.Visitor(page, "pairwise-of-"+user)
					shows(t, visitor.ComesBack(visitor.SignsIn(visitor.Continues(links(h)[0]), user)), http.StatusOK, "signed-in")
					r := <-call
					r.Succeeds(t, "")
				}
				if s != nil { // a process that has just begun
					page = newPage()
					o = newOffice(t, world.Setup{Shared: o.AS, Service: func(s *lazyauth.Service) { s.ConnectPage = page }, Options: lazyauth.Options{Store: s}})
				}
				ada := o.Visitor(page, "pairwise-of-ada")
				mine := grantsOf(ada.Get(grantsURL))
				if len(mine) != 1 {
					t.Fatalf("ada has %q", mine)
				}
				shows(t, ada.Get(mine[0]), http.StatusOK, "details", "<q>ada</q>")
				again := posts(ada, mine[0], "again")
				shows(t, ada.Get(again.Location), http.StatusOK, "consent")
				oid[lazyauth.Principal{Subject: "eve"}] = "3"
				shows(t, o.Visitor(page, "pairwise-of-eve").Get(grantsURL), http.StatusOK, "granted", "Nothing.")
				shows(t, posts(ada, grantsURL+"/all/end", "end"), http.StatusOK, "over", "It has ended")
				if _, err := o.Auth.Status(t.Context(), lazyauth.Principal{Subject: "ada"}); !errors.Is(err, lazyauth.ErrNoGrant) {
					t.Errorf("it is still there: %v", err)
				}
				if s == nil {
					return
				}
				if _, err := lazyauth.NewOperator(o.Auth, "olga").Erase(t.Context(), lazyauth.Principal{Subject: "ada"}); err != nil {
					t.Error(err)
				}
				keys, err := s.Keys(t.Context())
				for _, key := range keys {
					if record, failed := s.Load(t.Context(), key); failed != nil || strings.Contains(key+string(record), "ada") {
						t.Errorf("after the erasure the store has %s %s, %v", key, record, failed)
					}
				}
				if err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A barred person sees nothing, and cannot sign in again.
func TestMyGrants_Barred(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := store.Memory()
		o := newOffice(t, world.Setup{Options: lazyauth.Options{Store: kept}})
		o.connects("ada")
		ada := o.Visitor(o.page, "ada")
		mine := grantsOf(ada.Get(grantsURL))[0]
		form := ada.Get(mine).Form("again")
		operator := newOffice(t, world.Setup{Shared: o.AS, Options: lazyauth.Options{Store: kept}})
		if _, err := lazyauth.NewOperator(operator.Auth, "olga").Bar(t.Context(), lazyauth.Principal{Subject: "ada"}, time.Time{}); err != nil {
			t.Fatal(err)
		}
		// The process of the page has the grant in memory for a moment.
		barred := ada.Do(http.MethodPost, mine, form, nil)
		if barred.Status != http.StatusForbidden || barred.Name != "barred" {
			t.Errorf("page %q, status %d", barred.Name, barred.Status)
		}
		world.Later(30 * time.Second)
		shows(t, ada.Get(grantsURL), http.StatusOK, "granted", "Nothing.")
		shows(t, ada.Do(http.MethodPost, mine, form, nil), http.StatusNotFound, "no-grant")
	})
}

// A store that does not answer has the pages say so; what was to end may still be there then.
func TestMyGrants_StoreFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := &world.FailingStore{Store: store.Memory()}
		o := newOffice(t, world.Setup{Options: lazyauth.Options{Store: kept}})
		o.connects("ada")
		ada := o.Visitor(o.page, "ada")
		mine := grantsOf(ada.Get(grantsURL))[0]
		page, all := ada.Get(mine+"/end"), ada.Get(grantsURL+"/all/end")
		kept.Fails(errors.New("broken"))
		shows(t, ada.Get(grantsURL), http.StatusOK, "granted", "This may not be all", "Notes")
		none := ada.Get(grantsURL + "/AAAAAAAAAAAAAAAAAAAAAA")
		shows(t, none, http.StatusServiceUnavailable, "unreachable")
		if after := none.Header.Get("Retry-After"); after != "60" {
			t.Errorf("to come back after %q", after)
		}
		shows(t, ada.Do(http.MethodPost, mine+"/end", page.Form("end"), nil), http.StatusServiceUnavailable, "over", "Not everything has ended", "not ended")
		shows(t, ada.Do(http.MethodPost, grantsURL+"/all/end", all.Form("end"), nil), http.StatusServiceUnavailable, "over", "Not everything has ended")
		kept.Fails(nil)
		shows(t, posts(ada, grantsURL+"/all/end", "end"), http.StatusOK, "over", "has ended")
		if keys, err := kept.Keys(t.Context()); err != nil || slices.ContainsFunc(keys, func(key string) bool { return strings.HasPrefix(key, "\"") }) {
			t.Errorf("the store has %q, %v", keys, err)
		}
	})
}

// Who signs in by the page comes back to what they have granted, and signs out there.
func TestMyGrants_SignsIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, _ := newLobby(t)
		v := o.Visitor(o.page, "")
		for _, address := range []string{grantsURL, grantsURL + "/AAAAAAAAAAAAAAAAAAAAAA", grantsURL + "/all/end"} {
			page := v.Get(address)
			shows(t, page, http.StatusForbidden, "signed-out")
			shows(t, v.Do(http.MethodPost, connectURL+"/sign-in", fields(page), nil), http.StatusOK, "signing-in")
			back := v.Get(connectURL + "/signed-in?as=ada")
			if back.Location != grantsURL {
				t.Fatalf("it leads to %q", back.Location)
			}
			list := v.Get(back.Location)
			shows(t, list, http.StatusOK, "granted", "I am not Mx ada")
			shows(t, v.Do(http.MethodPost, connectURL+"/sign-out", fields(list), nil), http.StatusOK, "left")
		}
	})
}

// With a key that replicas share, what one of them shows is good at another: its addresses, and its forms. With another
// one it is not, and that is said.
func TestMyGrants_Replicas(t *testing.T) {
	for name, test := range map[string]struct {
		key    string // of the other one
		status int
	}{"the same key": {"thirty-two bytes of a shared key", http.StatusOK}, "another key": {"thirty-two bytes of another key.", http.StatusNotFound}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				options := lazyauth.Options{Store: store.Memory(), StateKeys: [][]byte{[]byte("thirty-two bytes of a shared key")}}
				o := newOffice(t, world.Setup{Options: options})
				o.connects("ada")
				options.StateKeys = [][]byte{[]byte(test.key)}
				other := newOffice(t, world.Setup{Shared: o.AS, Options: options})
				ada, there, eve := o.Visitor(o.page, "ada"), other.Visitor(other.page, "ada"), other.Visitor(other.page, "eve")
				mine := grantsOf(ada.Get(grantsURL))[0]
				form := ada.Get(mine + "/end").Form("end")
				if v := there.Get(mine); v.Status != test.status {
					t.Errorf("the other one shows %q, status %d", v.Name, v.Status)
				}
				shows(t, eve.Get(mine), http.StatusNotFound, "no-grant")
				shows(t, eve.Do(http.MethodPost, mine+"/end", form, nil), http.StatusForbidden, "forged")
				v := there.Do(http.MethodPost, mine+"/end", form, nil)
				if ended := v.Name == "over"; ended != (test.status == http.StatusOK) || !ended && v.Name != "forged" {
					t.Errorf("the other one answers with %q", v.Name)
				}
			})
		})
	}
}
