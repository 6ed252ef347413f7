package lazyauth_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/oauth2"
)

const (
	ourDocument    = "https://notes.example.test/oauth/client.json"
	editorDocument = "https://editor.example.test/oauth/client.json"
)

// documented has a server take these documents for client ids.
func documented(documents map[string][]byte) fakeas.Options {
	return fakeas.Options{TokenLifetime: time.Hour, ClientDocument: func(id string) ([]byte, bool) {
		text, ok := documents[id]
		return text, ok
	}}
}

// documentOf is what is served at an address for a device flow.
func documentOf(id string) []byte {
	text, err := json.Marshal(map[string]any{
		"client_id": id, "client_name": "x", "grant_types": []string{"urn:ietf:params:oauth:grant-type:device_code", "refresh_token"}, "token_endpoint_auth_method": "none",
	})
	if err != nil {
		panic(err)
	}
	return text
}

// chosen demands as whom, and from where, people were asked.
func chosen(t *testing.T, w *world.World, want ...string) {
	t.Helper()
	var got []string
	for _, i := range world.Infos[lazyauth.ClientChosenInfo](&w.Trace) {
		got = append(got, i.Source+" "+i.ClientID)
	}
	if !slices.Equal(got, want) {
		t.Errorf("asked as %q, want %q", got, want)
	}
}

// The document that is to be hosted is one that a server takes, for either flow, and for all
// of the grant's life.
func TestClient_Document(t *testing.T) {
	for _, flow := range []lazyauth.Flow{lazyauth.FlowDevice, lazyauth.FlowRedirect} {
		t.Run(string(flow), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				served := map[string][]byte{}
				d := newDesk(t, world.Setup{AS: documented(served), Service: func(s *lazyauth.Service) {
					s.ClientID = ourDocument
					document, err := s.ClientIDMetadataDocument("Notes for MCP")
					if err != nil {
						t.Fatal(err)
					}
					served[ourDocument] = document
				}}, flow)
				h := d.Host(world.Modern, world.Accepts)
				call := h.Call(t.Context(), "whoami", nil)
				if flow == lazyauth.FlowRedirect {
					d.browser.Approves(d.link(h))
				} else {
					d.Approves()
				}
				(<-call).Succeeds(t, "Ada")
				world.Later(2 * time.Hour)
				h.Gets("whoami", nil, "Ada") // refreshed
				h.WantPrompts(1)
				chosen(t, d.World, "configured "+ourDocument)
				if err := d.Auth.Revoke(t.Context(), lazyauth.LocalUser); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// What the page on clients shows is what is hosted.
func TestClient_DocumentInTheDocs(t *testing.T) {
	s := lazyauth.Service{Name: "Notes", Issuer: "https://as.example.com", ClientID: "https://notes.example.com/oauth/client.json", Flows: []lazyauth.Flow{lazyauth.FlowRedirect, lazyauth.FlowDevice}}
	document, err := s.ClientIDMetadataDocument("Notes for MCP")
	if err != nil {
		t.Fatal(err)
	}
	inDocs(t, "../docs/clients.md", string(document))
	// A client without redirects says so: no list of response types means ["code"] (RFC 7591 §2).
	s.Flows = nil
	document, err = s.ClientIDMetadataDocument("Notes for MCP")
	if err != nil || !strings.Contains(string(document), `"response_types": []`) || strings.Contains(string(document), "redirect_uris") {
		t.Errorf("for the device flow: %s, %v", document, err)
	}
	s.ClientID = "notes-cli"
	if _, err := s.ClientIDMetadataDocument("Notes"); err == nil {
		t.Error("a document for a client id that is no address")
	}
}

// Where the metadata does not say that the server takes documents nobody is asked, and the
// server hears of no such client.
func TestClient_DocumentNotTaken(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Service: func(s *lazyauth.Service) { s.ClientID = ourDocument }})
		h := w.Host(era, world.Accepts)
		r := <-h.Call(t.Context(), "whoami", nil)
		r.Fails(t, lazyauth.ReasonUnsupported)
		if !strings.Contains(r.Text(), "does not take the address of a document") || strings.Contains(r.Text(), "example.test") {
			t.Errorf("the model reads %q", r.Text())
		}
		h.WantPrompts(0)
		if n := w.AS.Count(fakeas.DeviceAuthorization, ""); n != 0 {
			t.Errorf("%d codes were asked for", n)
		}
	})
}

// With a registration beside it, the program registers itself there.
func TestClient_DocumentNotTaken_Registers(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{AS: fakeas.Options{Registration: true}, Service: func(s *lazyauth.Service) {
			s.ClientID, s.Registration = ourDocument, &lazyauth.Registration{ClientName: "Notes for MCP"}
		}})
		w.SignedIn(era)
		client := w.AS.RegisteredClients()[0]
		chosen(t, w, "registered "+client.ID)
		logged(t, w, "client registered", "client", client.ID)
		if client.Name != "Notes for MCP" || client.Secret != "" || !slices.Equal(client.GrantTypes, []string{"urn:ietf:params:oauth:grant-type:device_code", "refresh_token"}) {
			t.Errorf("registered as %+v", client)
		}
	})
}

// offers makes a call as a host does that offers a client id in its capabilities.
func offers(h *world.Host, id any) <-chan world.Reply {
	out := make(chan world.Reply, 1)
	params := &mcp.CallToolParams{Name: "whoami", Meta: mcp.Meta{mcp.MetaKeyClientCapabilities: map[string]any{
		"elicitation": map[string]any{"url": map[string]any{}}, "auth": map[string]any{"cimd": map[string]any{"clientId": id}},
	}}}
	go func() {
		result, err := h.Session.CallTool(context.Background(), params)
		out <- world.Reply{Result: result, Err: err}
	}()
	return out
}

// A host lends its name where the author has listed its host, and nowhere else; what it offers
// is told to the trace.
func TestClient_OfferedByTheHost(t *testing.T) {
	for name, test := range map[string]struct {
		offered any
		hosts   []string
		era     string
		want    string
		against string
	}{
		"listed":             {editorDocument, []string{"other.example.test", "editor.example.test"}, world.Modern, "host " + editorDocument, ""},
		"not listed":         {editorDocument, []string{"other.example.test"}, world.Modern, "configured " + fakeas.DefaultClientID, "editor.example.test is not in Service.ClientIDHosts"},
		"none listed":        {editorDocument, nil, world.Modern, "configured " + fakeas.DefaultClientID, "not one that is accepted"},
		"a part of the host": {"https://editor.example.test.evil.test/oauth/client.json", []string{"editor.example.test"}, world.Modern, "configured " + fakeas.DefaultClientID, "is not in"},
		"a user of the host": {"https://editor.example.test@evil.test/oauth/client.json", []string{"editor.example.test"}, world.Modern, "configured " + fakeas.DefaultClientID, "has a user name"},
		"another port":       {"https://editor.example.test:8443/oauth/client.json", []string{"editor.example.test"}, world.Modern, "configured " + fakeas.DefaultClientID, "is not in"},
		"http":               {"http://editor.example.test/oauth/client.json", []string{"editor.example.test"}, world.Modern, "configured " + fakeas.DefaultClientID, "https"},
		"no address":         {"the-editor", []string{"editor.example.test"}, world.Modern, "configured " + fakeas.DefaultClientID, "https"},
		"no text":            {7, []string{"editor.example.test"}, world.Modern, "configured " + fakeas.DefaultClientID, ""},
		"escapes for a log":  {"https://editor.example.test/\x1b[2J", []string{"editor.example.test"}, world.Modern, "configured " + fakeas.DefaultClientID, "a character"},
		"in the era before":  {editorDocument, []string{"editor.example.test"}, world.Legacy, "configured " + fakeas.DefaultClientID, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				as := documented(map[string][]byte{editorDocument: documentOf(editorDocument)})
				as.Clients = []fakeas.Client{{ID: fakeas.DefaultClientID}}
				w := world.New(t, world.Setup{AS: as, Service: func(s *lazyauth.Service) { s.ClientIDHosts = test.hosts }})
				h := w.Host(test.era, world.Accepts)
				call := offers(h, test.offered)
				w.Approves()
				(<-call).Succeeds(t, "Ada")
				chosen(t, w, test.want)
				against := world.Infos[lazyauth.ClientChosenInfo](&w.Trace)[0].Against
				if (against == nil) != (test.against == "") || against != nil && !strings.Contains(against.Error(), test.against) {
					t.Errorf("against it: %v, want %q", against, test.against)
				}
				if text := w.Log.String(); strings.Contains(text, "evil.test/") || strings.Contains(text, "[2J") {
					t.Errorf("the log has what the host wrote: %s", text)
				}
				if !strings.Contains(w.Log.String(), "client chosen") {
					t.Error("the log does not say as whom people are asked")
				}
			})
		})
	}
}

// A host that offers nothing that is accepted, to a server that has no id of its own.
func TestClient_OfferedByTheHost_Alone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{AS: documented(map[string][]byte{editorDocument: documentOf(editorDocument)}), Service: func(s *lazyauth.Service) {
			s.ClientID, s.ClientIDHosts = "", []string{"editor.example.test"}
		}})
		h := w.Host(world.Modern, world.Accepts)
		for _, call := range []<-chan world.Reply{h.Call(t.Context(), "whoami", nil), offers(h, "https://evil.test/client.json")} {
			r := <-call
			r.Fails(t, lazyauth.ReasonUnsupported)
			if !strings.Contains(r.Text(), "was given none that it accepts") || strings.Contains(r.Text(), "evil") {
				t.Errorf("the model reads %q", r.Text())
			}
			world.Later(time.Minute)
		}
		h.WantPrompts(0)
		call := offers(h, editorDocument)
		w.Approves()
		(<-call).Succeeds(t, "Ada")
		world.Later(2 * time.Hour)
		h.Gets("whoami", nil, "Ada") // whatever the host offers by then
	})
}

// Who starts the program passes an id in the environment, which comes first.
func TestClient_Environment(t *testing.T) {
	for name, test := range map[string]struct {
		passed, want, warned string
		hosts                []string
	}{
		"listed":     {editorDocument, "environment " + editorDocument, "", []string{"editor.example.test"}},
		"not listed": {editorDocument, "configured " + fakeas.DefaultClientID, "MCP_OAUTH_CLIENT_ID of the environment is passed over", []string{"other.example.test"}},
		"none":       {editorDocument, "configured " + fakeas.DefaultClientID, "MCP_OAUTH_CLIENT_ID of the environment is passed over", nil},
		"no address": {"the-editor", "configured " + fakeas.DefaultClientID, "https", []string{"editor.example.test"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(lazyauth.EnvClientID, test.passed)
			world.InBothEras(t, func(t *testing.T, era string) {
				as := documented(map[string][]byte{editorDocument: documentOf(editorDocument)})
				w := world.New(t, world.Setup{AS: as, Service: func(s *lazyauth.Service) { s.ClientIDHosts = test.hosts }})
				w.SignedIn(era)
				chosen(t, w, test.want)
				against := world.Infos[lazyauth.ClientChosenInfo](&w.Trace)[0].Against
				if (against == nil) != (test.warned == "") || against != nil && !strings.Contains(against.Error(), "client id of the environment: the host's client id is not one") {
					t.Errorf("against it: %v", against)
				}
				warned := world.Infos[lazyauth.WarnedInfo](&w.Trace)
				if test.warned != "" {
					logged(t, w, "of the environment is passed over", "service", "Notes")
				}
				if len(warned) > 1 || (len(warned) == 1) != (test.warned != "") || len(warned) == 1 && !strings.Contains(warned[0].Err.Error(), test.warned) {
					t.Errorf("warned of %+v, want %q", warned, test.warned)
				}
				if len(warned) == 1 && strings.Contains(warned[0].Err.Error(), "the authorization server") {
					t.Errorf("the warning blames the server, which was not asked: %v", warned[0].Err)
				}
			})
		})
	}
}

// logged demands that lines which have a text have this value, and name no principal: they are
// of the service alone.
func logged(t *testing.T, w *world.World, text, key, value string) {
	t.Helper()
	for name, log := range map[string]string{"zap": w.Log.String(), "slog": w.Slog.String()} {
		lines := 0
		for line := range strings.Lines(log) {
			if !strings.Contains(line, text) {
				continue
			}
			lines++
			if strings.Contains(line, `"principal"`) || !strings.Contains(line, `"`+key+`":"`+value+`"`) {
				t.Errorf("%s: %s", name, line)
			}
		}
		if lines == 0 {
			t.Errorf("%s: no line has %q", name, text)
		}
	}
}

// registers has the program register itself, at a server that lets it.
func registers(s world.Setup) world.Setup {
	s.AS.Registration = true
	s.Service = func(to *lazyauth.Service) {
		to.ClientID, to.Registration = "", &lazyauth.Registration{ClientName: "Notes for MCP", ClientURI: "https://notes.example.test/"}
	}
	return s
}

// A client that registers for the redirect flow is sent back to this machine; the server
// forgets it, and only the person would learn that: another process asks before.
func TestClient_ForgottenByTheServer_Redirect(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		kept := store.Memory()
		d := newDesk(t, registers(world.Setup{Options: lazyauth.Options{Store: kept}}), lazyauth.FlowRedirect)
		h := d.Host(era, world.Accepts)
		call := h.Call(t.Context(), "whoami", nil)
		d.browser.Approves(d.link(h))
		(<-call).Succeeds(t, "Ada")
		first := d.AS.RegisteredClients()[0]
		if uri := first.RedirectURIs; len(uri) != 1 || !strings.HasPrefix(uri[0], "http://127.0.0.1/callback/") {
			t.Errorf("registered with %q", uri)
		}
		world.Later(time.Hour)
		d.AS.ForgetClient(first.ID)

		two := newDesk(t, registers(world.Setup{Shared: d.AS, Options: lazyauth.Options{Store: kept}}), lazyauth.FlowRedirect)
		g := two.Host(era, world.Accepts)
		call = g.Call(t.Context(), "list_notes", nil)
		two.shows(two.browser.Approves(two.link(g)), "signed-in")
		(<-call).Succeeds(t, "[]")
		second := d.AS.RegisteredClients()[0]
		chosen(t, two.World, "registered "+second.ID)
		if told := world.Infos[lazyauth.RegisteredInfo](&two.Trace); len(told) != 1 || told[0].Former != first.ID || told[0].Err != nil {
			t.Errorf("told %+v", told)
		}
		call = g.Call(t.Context(), "create_note", world.Note{Text: "x"})
		all := links(g)
		two.browser.Approves(all[1])
		(<-call).Succeeds(t, "x")
		if n := d.AS.Count(fakeas.Exchange, "invalid_grant"); n != 0 {
			t.Errorf("the server was asked %d times about a client that it has just registered", n)
		}
	})
}

// What a browser brings is no word of the server's on its client: a server that does not know it sends
// nobody back (RFC 6749 §4.1.2.1), and whoever has seen the link could have the client replaced.
// The server itself is asked before the next sign-in.
func TestClient_ForgottenByTheServer_SaysABrowser(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		d := newDesk(t, registers(world.Setup{}), lazyauth.FlowRedirect)
		h := d.Host(era, world.Accepts)
		call := h.Call(t.Context(), "whoami", nil)
		u, err := url.Parse(d.link(h))
		if err != nil {
			t.Fatal(err)
		}
		back := url.Values{"error": {"invalid_client"}, "state": {u.Query().Get("state")}, "iss": {d.AS.Issuer()}}
		d.browser.Load(u.Query().Get("redirect_uri") + "?" + back.Encode())
		(<-call).Fails(t, lazyauth.ReasonUnavailable)
		world.Later(time.Hour)
		call = h.Call(t.Context(), "whoami", nil)
		all := links(h)
		d.shows(d.browser.Approves(all[len(all)-1]), "signed-in")
		(<-call).Succeeds(t, "Ada")
		if n := d.AS.Count(fakeas.Registration, ""); n != 1 {
			t.Errorf("%d registrations", n)
		}
	})
}

// The process is the same: a link that leads to an error page lapses, and the next one is
// another client's.
func TestClient_ForgottenByTheServer_Lapsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, registers(world.Setup{}), lazyauth.FlowRedirect)
		h := d.Host(world.Legacy, world.Accepts)
		call := h.Call(t.Context(), "whoami", nil)
		d.browser.Approves(d.link(h))
		(<-call).Succeeds(t, "Ada")
		world.Later(time.Hour)
		d.AS.ForgetClient(d.AS.RegisteredClients()[0].ID)
		call = h.Call(t.Context(), "list_notes", nil)
		all := links(h)
		if _, err := d.AS.ApproveURL(t.Context(), all[len(all)-1]); !errors.Is(err, fakeas.ErrNoWayBack) {
			t.Fatal(err)
		}
		(<-call).Fails(t, lazyauth.ReasonPending)
		world.Later(10 * time.Minute)
		call = h.Call(t.Context(), "list_notes", nil)
		all = links(h)
		d.shows(d.browser.Approves(all[len(all)-1]), "signed-in")
		(<-call).Succeeds(t, "[]")
		if n := d.AS.Count(fakeas.Registration, ""); n != 2 {
			t.Errorf("%d registrations", n)
		}
		// One that nobody has opened, of a client that the server knows, changes nothing.
		(<-h.Call(t.Context(), "create_note", world.Note{Text: "x"})).Fails(t, lazyauth.ReasonPending)
		world.Later(10 * time.Minute)
		call = h.Call(t.Context(), "create_note", world.Note{Text: "x"})
		all = links(h)
		d.browser.Approves(all[len(all)-1])
		(<-call).Succeeds(t, "x")
		if n := d.AS.Count(fakeas.Registration, ""); n != 2 {
			t.Errorf("%d registrations", n)
		}
	})
}

// Where requests are pushed the server says so by itself.
func TestClient_ForgottenByTheServer_Pushed(t *testing.T) {
	for name, push := range map[string]fakeas.Push{"may be pushed": fakeas.PushAccepted, "must be pushed": fakeas.PushRequired} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t, registers(world.Setup{AS: fakeas.Options{Push: push, PushLifetime: 10 * time.Minute}}), lazyauth.FlowRedirect)
				h := d.Host(world.Modern, world.Accepts)
				call := h.Call(t.Context(), "whoami", nil)
				d.browser.Approves(d.link(h))
				(<-call).Succeeds(t, "Ada")
				world.Later(time.Hour)
				d.AS.ForgetClient(d.AS.RegisteredClients()[0].ID)
				call = h.Call(t.Context(), "list_notes", nil)
				all := links(h)
				d.shows(d.browser.Approves(all[len(all)-1]), "signed-in")
				(<-call).Succeeds(t, "[]")
				h.WantPrompts(2)
			})
		})
	}
}

// In the device flow the server says so where a code is asked for; before that, at a refresh.
func TestClient_ForgottenByTheServer_Device(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, registers(world.Setup{AS: fakeas.Options{TokenLifetime: time.Hour}, Options: lazyauth.Options{Store: store.Memory()}}))
		h := w.SignedIn(era)
		w.AS.ForgetClient(w.AS.RegisteredClients()[0].ID)
		world.Later(2 * time.Hour)
		before := len(h.Shown())
		call := h.Call(t.Context(), "whoami", nil)
		w.Approves()
		(<-call).Succeeds(t, "Ada")
		world.Later(2 * time.Hour)
		h.Gets("whoami", nil, "Ada")
		h.WantPrompts(before + 1)
		if keys, err := w.Auth.Accounts(t.Context()); err != nil || len(keys) != 1 {
			t.Errorf("accounts: %v, %v", keys, err) // of which the registration is none
		}
	})
}

// A client that is forgotten at once is not the operator's to mend: the model is told when to call
// again, and then another one is registered, and signs in.
func TestClient_ForgottenByTheServer_TooSoon(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, registers(world.Setup{}))
		w.AS.Script(fakeas.DeviceAuthorization, fakeas.Error(401, "invalid_client"))
		h := w.Host(era, world.Accepts)
		r := <-h.Call(t.Context(), "whoami", nil)
		r.Fails(t, lazyauth.ReasonUnavailable)
		if want := "The authorization server of Notes no longer accepts the client that this server registered there a short while ago. Another one can be registered in 60 seconds: call again then."; r.Text() != want {
			t.Errorf("the model reads %q, want %q", r.Text(), want)
		}
		world.Later(20 * time.Second)
		if r := <-h.Call(t.Context(), "whoami", nil); !strings.Contains(r.Text(), "in 40 seconds") {
			t.Errorf("later the model reads %q", r.Text())
		}
		world.Later(40 * time.Second)
		call := h.Call(t.Context(), "whoami", nil)
		w.Approves()
		(<-call).Succeeds(t, "Ada")
		if n := w.AS.Count(fakeas.Registration, ""); n != 2 {
			t.Errorf("%d registrations", n)
		}
	})
}

// Each request has the parameters that it needs, and no other.
func TestClient_Params(t *testing.T) {
	const api = "https://api.example.test"
	demand := map[fakeas.Operation][]string{
		fakeas.DeviceAuthorization: {"audience=" + api}, fakeas.Poll: {"resource=" + api}, fakeas.Authorization: {"audience=" + api}, fakeas.Exchange: {"resource=" + api},
		fakeas.Refresh: {"tenant=7"},
	}
	for _, flow := range []lazyauth.Flow{lazyauth.FlowDevice, lazyauth.FlowRedirect} {
		for name, test := range map[string]struct {
			without   func(*lazyauth.Service)
			signsIn   bool
			refreshes bool
		}{
			"all":               {func(*lazyauth.Service) {}, true, true},
			"none at a token":   {func(s *lazyauth.Service) { s.TokenParams = nil }, false, false},
			"none at a refresh": {func(s *lazyauth.Service) { s.RefreshParams = nil }, true, false},
		} {
			t.Run(string(flow)+", "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					d := newDesk(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Hour, Demand: demand}, Service: func(s *lazyauth.Service) {
						s.Params, s.TokenParams, s.RefreshParams = url.Values{"audience": {api}}, url.Values{"resource": {api}}, url.Values{"tenant": {"7"}}
						test.without(s)
					}}, flow)
					if name != "all" {
						d.Tolerated = append(d.Tolerated, fakeas.MissingParameter)
					}
					h := d.Host(world.Legacy, world.Accepts)
					call := h.Call(t.Context(), "whoami", nil)
					if flow == lazyauth.FlowRedirect {
						d.browser.Approves(d.link(h))
					} else {
						d.Approves()
					}
					if r := <-call; !test.signsIn {
						r.Fails(t, lazyauth.ReasonUnavailable)
						return
					} else {
						r.Succeeds(t, "Ada")
					}
					world.Later(2 * time.Hour)
					asked := len(h.Shown())
					call = h.Call(t.Context(), "whoami", nil)
					world.Later(time.Second)
					synctest.Wait()
					if again := len(h.Shown()) != asked; again == test.refreshes {
						t.Errorf("asked again: %t", again)
					}
					if test.refreshes {
						(<-call).Succeeds(t, "Ada")
					}
				})
			})
		}
	}
}

// Who is to sign in stands in no link that a host shows: where the server takes no pushed
// requests the person is not named at all.
func TestClient_SignInHint(t *testing.T) {
	const ada = "ada@example.test"
	for name, test := range map[string]struct {
		as     fakeas.Options
		opened bool
		hinted bool
	}{
		"shown":             {fakeas.Options{NoHintInURL: true}, false, false},
		"shown, and pushed": {fakeas.Options{NoHintInURL: true, Push: fakeas.PushAccepted, PushLifetime: 10 * time.Minute}, false, true},
		"opened":            {fakeas.Options{}, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var who []lazyauth.Principal
				var browsing sync.WaitGroup
				defer browsing.Wait() // the last page, too
				d := newDesk(t, world.Setup{AS: test.as, Options: lazyauth.Options{
					Account: func(context.Context, *mcp.CallToolRequest) (string, error) { return "work", nil },
					SignInHint: func(p lazyauth.Principal) lazyauth.SignInHint {
						who = append(who, p)
						return lazyauth.SignInHint{LoginHint: ada, Prompt: "select_account"}
					},
				}}, lazyauth.FlowRedirect)
				if test.opened {
					err := d.Auth.Authorize(t.Context(), lazyauth.Principal{Account: "work"}, scopes.Of("profile"), func(_ context.Context, p elicit.Prompt) error {
						if strings.Contains(p.VerificationURI, "ada") {
							t.Errorf("the link is %q", p.VerificationURI)
						}
						browsing.Go(func() { d.browser.Approves(p.VerificationURI) })
						return nil
					})
					if err != nil {
						t.Fatal(err)
					}
				} else {
					h := d.Host(world.Modern, world.Accepts)
					call := h.Call(t.Context(), "whoami", nil)
					link := d.link(h)
					if strings.Contains(link, "ada") || strings.Contains(link, "select_account") {
						t.Errorf("the link is %q", link)
					}
					d.browser.Approves(link)
					(<-call).Succeeds(t, "Ada")
				}
				if len(who) != 1 || who[0].Account != "work" {
					t.Errorf("asked about %v", who)
				}
				requests := d.AS.AuthorizationRequests()
				seen := requests[len(requests)-1]
				hint := seen.URL.Get("login_hint") + seen.Pushed.Get("login_hint")
				prompt := seen.URL.Get("prompt") + seen.Pushed.Get("prompt")
				if test.hinted != (hint == ada) || test.hinted != (prompt == "select_account") || !test.hinted && hint+prompt != "" {
					t.Errorf("the server sees the hint %q and the prompt %q", hint, prompt)
				}
			})
		})
	}
}

// A hint that cannot be sent is told to the trace, and keeps nobody from signing in.
func TestClient_SignInHint_Unusable(t *testing.T) {
	for name, hint := range map[string]func(lazyauth.Principal) lazyauth.SignInHint{
		"panics":          func(lazyauth.Principal) lazyauth.SignInHint { panic("x") },
		"a control code":  func(lazyauth.Principal) lazyauth.SignInHint { return lazyauth.SignInHint{LoginHint: "a\x00"} },
		"unknown prompt":  func(lazyauth.Principal) lazyauth.SignInHint { return lazyauth.SignInHint{Prompt: "login&scope=all"} },
		"does not return": func(lazyauth.Principal) lazyauth.SignInHint { time.Sleep(time.Minute); return lazyauth.SignInHint{} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t, world.Setup{Options: lazyauth.Options{SignInHint: hint}}, lazyauth.FlowRedirect)
				h := d.Host(world.Modern, world.Accepts)
				call := h.Call(t.Context(), "whoami", nil)
				world.Later(3 * time.Second)
				d.browser.Approves(d.link(h))
				(<-call).Succeeds(t, "Ada")
				if failed := world.Infos[lazyauth.CallbackFailedInfo](&d.Trace); len(failed) != 1 || failed[0].Callback != "Options.SignInHint" {
					t.Errorf("told %+v", failed)
				}
				time.Sleep(time.Minute)
			})
		})
	}
}

func TestNew_ClientMistakes(t *testing.T) {
	good := lazyauth.Service{Name: "Notes", Issuer: "https://as.example.test", ClientID: "c"}
	registration := &lazyauth.Registration{ClientName: "Notes"}
	for want, change := range map[string]func(*lazyauth.Service){
		"but it has a user name": func(s *lazyauth.Service) { s.ClientID = "https://me@notes.example.test/c" },
		"clients with a secret":  func(s *lazyauth.Service) { s.ClientID, s.ClientSecret = ourDocument, "x" },
		"no ClientID that it belongs to": func(s *lazyauth.Service) {
			s.ClientID, s.ClientSecret, s.Registration = "", "x", registration
		},
		"set one of them":      func(s *lazyauth.Service) { s.Registration = registration },
		"which is not a host":  func(s *lazyauth.Service) { s.ClientIDHosts = []string{"https://editor.example.test"} },
		`has "*.example.test"`: func(s *lazyauth.Service) { s.ClientIDHosts = []string{"*.example.test"} },
		"Service.Program":      func(s *lazyauth.Service) { s.Program = "a\nb" },
		"ClientName":           func(s *lazyauth.Service) { s.ClientID, s.Registration = "", &lazyauth.Registration{} },
		"ClientURI": func(s *lazyauth.Service) {
			s.ClientID, s.Registration = "", &lazyauth.Registration{ClientName: "x", ClientURI: "http://x.test"}
		},
		"for client ID metadata documents": func(s *lazyauth.Service) {
			s.Issuer, s.ClientID, s.Endpoint = "", ourDocument, oauth2.Endpoint{DeviceAuthURL: "https://as.example.test/d", TokenURL: "https://as.example.test/t"}
		},
		"parameter grant_type":    func(s *lazyauth.Service) { s.TokenParams = url.Values{"grant_type": {"x"}} },
		"parameter refresh_token": func(s *lazyauth.Service) { s.RefreshParams = url.Values{"Refresh_Token": {"x"}} },
		"parameter client_secret": func(s *lazyauth.Service) { s.RefreshParams = url.Values{"client_secret": {"x"}} },
		"login_hint": func(s *lazyauth.Service) {
			s.Flows, s.Params = []lazyauth.Flow{lazyauth.FlowRedirect}, url.Values{"login_hint": {"x"}}
		},
	} {
		service := good
		change(&service)
		if _, err := lazyauth.New(service, nil); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "lazyauth: ") {
			t.Errorf("got %v, want an error of lazyauth with %q", err, want)
		}
	}
}

// inDocs demands that a page of the documentation has this text.
func inDocs(t *testing.T, page, text string) {
	t.Helper()
	content, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(content), text) {
		t.Errorf("%s has not:\n%s", page, text)
	}
}
