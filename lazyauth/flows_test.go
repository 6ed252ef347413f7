package lazyauth_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/internal/pipenet"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/oauth2"
)

// Which flow a sign-in takes is decided by who asks, and by what speaks against a browser here; what
// does is told to the trace.
func TestFlows_WhichIsTaken(t *testing.T) {
	text, url, form := world.Manners{}, world.Manners{URL: true, React: world.Accepts}, world.Manners{Form: true, React: world.Accepts}
	redirectFirst := []lazyauth.Flow{lazyauth.FlowRedirect, lazyauth.FlowDevice}
	opens := func(context.Context, string) error { return nil }
	for name, test := range map[string]struct {
		flows    []lazyauth.Flow
		manners  world.Manners
		against  string // there being a browser here
		opens    func(context.Context, string) error
		as       fakeas.Options
		want     string
		becauses []string
	}{
		"a host that shows links":          {flows: redirectFirst, manners: url, want: "redirect url"},
		"a host that shows forms":          {flows: redirectFirst, manners: form, want: "device form", becauses: []string{"the host does not open links"}},
		"a host that shows nothing":        {flows: redirectFirst, manners: text, want: "device text", becauses: []string{"the host does not open links"}},
		"a program that opens the browser": {flows: redirectFirst, manners: text, opens: opens, want: "redirect browser"},
		"over SSH":                         {flows: redirectFirst, manners: url, against: "this is an SSH session", want: "device url", becauses: []string{"redirect flow: this is an SSH session"}},
		"over SSH, which is all there is":  {flows: []lazyauth.Flow{lazyauth.FlowRedirect}, manners: url, against: "this is an SSH session", want: "redirect url"},
		"device first":                     {flows: []lazyauth.Flow{lazyauth.FlowDevice, lazyauth.FlowRedirect}, manners: url, want: "device url"},
		"by default":                       {manners: url, want: "device url"},
		"a server without redirects":       {flows: redirectFirst, manners: url, as: fakeas.Options{NoAuthorization: true}, want: "device url", becauses: []string{"redirect flow: ", "the metadata has no authorization_endpoint"}},
		"a server without device codes":    {flows: redirectFirst, manners: text, as: fakeas.Options{NoDevice: true}, want: "redirect text", becauses: []string{"device flow: ", "the metadata has no device_authorization_endpoint"}},
		"a server that promises no PKCE":   {flows: redirectFirst, manners: url, as: fakeas.Options{PKCE: fakeas.PKCEIgnored}, want: "device url", becauses: []string{"redirect flow: ", "PKCE"}},
	} {
		t.Run(name, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				machine := new(pipenet.Machine)
				w := world.New(t, world.Setup{
					AS:      test.as,
					Service: func(s *lazyauth.Service) { s.Flows = test.flows },
					Options: lazyauth.OnMachine(lazyauth.Options{OpenBrowser: test.opens}, machine.Listen, func() string { return test.against }),
				})
				d := &desk{World: w, machine: machine}
				h := w.HostWith(era, test.manners)
				h.Call(t.Context(), "whoami", nil)
				world.Later(time.Second)
				synctest.Wait()
				d.prompted(test.want)
				against := world.Infos[lazyauth.PromptedInfo](&w.Trace)[0].Against
				if (against != nil) != (test.becauses != nil) {
					t.Errorf("against others: %v, want %q", against, test.becauses)
				}
				for _, because := range test.becauses {
					if against != nil && !strings.Contains(against.Error(), because) {
						t.Errorf("against others: %v, want %q", against, because)
					}
				}
			})
		})
	}
}

// A port that is taken leaves the device flow.
func TestFlows_PortTaken(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		d := newDesk(t, world.Setup{Service: func(s *lazyauth.Service) { s.RedirectURI = "http://127.0.0.1:8085/callback" }}, lazyauth.FlowRedirect, lazyauth.FlowDevice)
		d.machine.Take("127.0.0.1:8085", true)
		h := d.Host(era, world.Accepts)
		call := h.Call(t.Context(), "whoami", nil)
		d.Approves()
		(<-call).Succeeds(t, "Ada")
		d.prompted("device url")
		if against := world.Infos[lazyauth.PromptedInfo](&d.Trace)[0].Against; against == nil || !strings.Contains(against.Error(), "127.0.0.1:8085") {
			t.Errorf("the trace is told %v", against)
		}
	})
}

// A server that has neither flow says what it lacks, and one that fails at both how.
func TestFlows_NoneIsPossible(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		d := newDesk(t, world.Setup{AS: fakeas.Options{NoAuthorization: true}}, lazyauth.FlowRedirect)
		r := <-d.Host(era, world.Accepts).Call(t.Context(), "whoami", nil)
		r.Fails(t, lazyauth.ReasonUnsupported)
		if !strings.Contains(r.Text(), "does not offer sign-ins by a browser") {
			t.Errorf("the model reads %q", r.Text())
		}
		d = newDesk(t, world.Setup{AS: fakeas.Options{NoAuthorization: true, NoDevice: true}}, lazyauth.FlowRedirect, lazyauth.FlowDevice)
		r = <-d.Host(era, world.Accepts).Call(t.Context(), "whoami", nil)
		r.Fails(t, lazyauth.ReasonUnsupported)
		if !strings.Contains(r.Text(), "offers none of the flows") {
			t.Errorf("the model reads %q", r.Text())
		}
		if n := d.AS.Count(fakeas.Metadata, ""); n != 1 {
			t.Errorf("discovered %d times", n)
		}
		d = newDesk(t, world.Setup{Service: func(s *lazyauth.Service) { s.RedirectURI = "http://127.0.0.1:8085/callback" }}, lazyauth.FlowRedirect, lazyauth.FlowDevice)
		d.machine.Take("127.0.0.1:8085", true)
		d.AS.Script(fakeas.DeviceAuthorization, fakeas.Error(400, "unauthorized_client"))
		r = <-d.Host(era, world.Accepts).Call(t.Context(), "whoami", nil)
		r.Fails(t, lazyauth.ReasonUnavailable)
		if !strings.Contains(r.Text(), "may use device authorization") {
			t.Errorf("the model reads %q", r.Text())
		}
		failed := world.Infos[lazyauth.FailedInfo](&d.Trace)
		if err := failed[len(failed)-1].Err; err == nil || !strings.Contains(err.Error(), "redirect flow: ") || !strings.Contains(err.Error(), "device flow: ") || !strings.Contains(err.Error(), "unauthorized_client") {
			t.Errorf("the trace is told %v", err)
		}
	})
}

// A host refuses the link by itself, as Codex does with those of test servers, which are http: the
// person is asked for a code at once, by a form. Where the host has none, or there is no other
// flow, nobody was asked.
func TestFlows_LinkRefusedByTheHost(t *testing.T) {
	refuses := func(ctx context.Context, p *mcp.ElicitParams) (*mcp.ElicitResult, error) {
		if p.Mode == "url" {
			return &mcp.ElicitResult{Action: "decline"}, nil
		}
		return world.Says("accept", 10*time.Second)(ctx, p)
	}
	both := []lazyauth.Flow{lazyauth.FlowRedirect, lazyauth.FlowDevice}
	for name, test := range map[string]struct {
		form  bool
		flows []lazyauth.Flow
		want  []string
	}{
		"asked by a form":        {true, both, []string{"redirect url", "device form"}},
		"the host has no form":   {false, both, []string{"redirect url"}},
		"there is no other flow": {true, both[:1], []string{"redirect url"}},
	} {
		t.Run(name, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				d := newDesk(t, world.Setup{}, test.flows...)
				h := d.HostWith(era, world.Manners{URL: true, Form: test.form, React: refuses})
				call := h.Call(t.Context(), "whoami", nil)
				world.Later(time.Second)
				synctest.Wait()
				if d.prompted(test.want...); len(test.want) == 1 {
					(<-call).Fails(t, lazyauth.ReasonDeclined)
					return
				}
				shown := h.Shown()
				if got := shown[len(shown)-1].Message; !strings.Contains(got, "enter the code") || strings.Contains(got, "link before") {
					t.Errorf("the person, who has seen no link, reads %q", got)
				}
				if against := world.Infos[lazyauth.PromptedInfo](&d.Trace)[1].Against; against == nil || !strings.Contains(against.Error(), "does not show the link") {
					t.Errorf("the trace is told %v", against)
				}
				d.Approves()
				(<-call).Succeeds(t, "Ada")
			})
		})
	}
}

// The user's browser is on another machine, which the server could not know: after 45 seconds the
// next call is prompted by a code. Both are good, the waiting calls of both go on with
// whichever brings a token first, and the other one ends.
func TestFlows_ReachedNobody(t *testing.T) {
	for _, winner := range []lazyauth.Flow{lazyauth.FlowDevice, lazyauth.FlowRedirect} {
		t.Run(string(winner), func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				d := newDesk(t, world.Setup{}, lazyauth.FlowRedirect, lazyauth.FlowDevice)
				h := d.Host(era, world.Accepts)
				first := h.Call(t.Context(), "whoami", nil)
				link := d.link(h)
				world.Later(30 * time.Second)
				second := h.Call(t.Context(), "whoami", nil) // too soon
				synctest.Wait()
				d.prompted("redirect url")
				(<-first).Fails(t, lazyauth.ReasonPending)
				third := h.Call(t.Context(), "whoami", nil)
				world.Later(time.Second)
				synctest.Wait()
				d.prompted("redirect url", "device url")
				shown := h.Shown()
				if got := shown[1].Message; !strings.Contains(got, " with the code ") || !strings.Contains(got, "in any browser: the link before works only on the machine where this server runs") {
					t.Errorf("the person reads %q", got)
				}
				if against := world.Infos[lazyauth.PromptedInfo](&d.Trace)[1].Against; against == nil || !strings.Contains(against.Error(), "no browser has come back") {
					t.Errorf("the trace is told %v", against)
				}
				if winner == lazyauth.FlowDevice {
					d.Approves()
				} else {
					d.shows(d.browser.Approves(link), "signed-in", "Ada Example")
				}
				(<-second).Succeeds(t, "Ada")
				(<-third).Succeeds(t, "Ada")
				granted := world.Infos[lazyauth.GrantedInfo](&d.Trace)
				if granted[0].Flow != winner {
					t.Errorf("the grant came by %q", granted[0].Flow)
				}
				if winner == lazyauth.FlowDevice {
					location, err := d.AS.ApproveURL(t.Context(), link)
					if err != nil {
						t.Fatal(err)
					}
					if page, _ := d.browser.Load(location); page.Name == "signed-in" {
						t.Errorf("the browser that comes too late shows %q", page.Name)
					}
				}
			})
		})
	}
}

// A browser that has been here shows that there is one: the prompt stays.
func TestFlows_ReachedSomebody(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		d := newDesk(t, world.Setup{Options: lazyauth.Options{OpenBrowser: func(_ context.Context, link string) error { return nil }}}, lazyauth.FlowRedirect, lazyauth.FlowDevice)
		h := d.HostWith(era, world.Manners{})
		r := <-h.Call(t.Context(), "whoami", nil)
		_, link, _ := strings.Cut(r.Text(), ":\n")
		server := d.browser.Way(link)
		call := h.Call(t.Context(), "whoami", nil)
		synctest.Wait()
		d.prompted("redirect browser", "redirect text")
		location, err := d.AS.ApproveURL(t.Context(), server)
		if err != nil {
			t.Fatal(err)
		}
		d.browser.Load(location)
		(<-call).Succeeds(t, "Ada")
	})
}

// As text, too, another prompt comes in the place of the first; and where the second flow turns
// out not to be possible, the first stays.
func TestFlows_ReachedNobodyAsText(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		for _, refused := range []bool{false, true} {
			d := newDesk(t, world.Setup{Options: lazyauth.Options{OpenBrowser: func(context.Context, string) error { return nil }}}, lazyauth.FlowRedirect, lazyauth.FlowDevice)
			h := d.HostWith(era, world.Manners{})
			(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonPending)
			if refused {
				d.AS.Script(fakeas.DeviceAuthorization, fakeas.Error(400, "unauthorized_client"))
			}
			r := <-h.Call(t.Context(), "whoami", nil)
			r.Fails(t, lazyauth.ReasonPending)
			if refused {
				if !strings.Contains(r.Text(), "http://127.0.0.1:") {
					t.Errorf("the model reads %q", r.Text())
				}
				continue
			}
			if !strings.Contains(r.Text(), "enter the code") {
				t.Errorf("the model reads %q", r.Text())
			}
			world.Later(5 * time.Second)
			call := h.Call(t.Context(), "whoami", nil)
			d.Approves()
			(<-call).Succeeds(t, "Ada")
			d.prompted("redirect browser", "redirect text", "device text")
		}
	})
}

// Close while the second flow is being begun leaves nothing behind.
func TestFlows_CloseWhileTurning(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		d := newDesk(t, world.Setup{}, lazyauth.FlowRedirect, lazyauth.FlowDevice)
		h := d.Host(era, world.Accepts)
		(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonPending)
		d.AS.Script(fakeas.DeviceAuthorization, fakeas.Stall())
		call := h.Call(t.Context(), "whoami", nil)
		world.Later(time.Second)
		if err := d.Auth.Close(); err != nil {
			t.Error(err)
		}
		(<-call).Fails(t, lazyauth.ReasonUnavailable)
	})
}

// What cannot be right is said when it is configured.
func TestFlows_Malformed(t *testing.T) {
	for want, change := range map[string]func(*lazyauth.Service){
		"Service.Flows is empty":                              func(s *lazyauth.Service) { s.Flows = []lazyauth.Flow{} },
		`has "implicit", which is no flow`:                    func(s *lazyauth.Service) { s.Flows = []lazyauth.Flow{"implicit"} },
		`has "device" twice`:                                  func(s *lazyauth.Service) { s.Flows = []lazyauth.Flow{lazyauth.FlowDevice, lazyauth.FlowDevice} },
		"RedirectURI is set, and Service.Flows has no":        func(s *lazyauth.Service) { s.Flows, s.RedirectURI = nil, "http://127.0.0.1:8085/" },
		"InsecureAssumePKCE is set, and Service.Flows has no": func(s *lazyauth.Service) { s.Flows, s.InsecureAssumePKCE = nil, true },
		"an Issuer, or else Endpoint.AuthURL and Endpoint.TokenURL, and InsecureAssumePKCE": func(s *lazyauth.Service) { s.Issuer = "" },
		"or else Endpoint.AuthURL and Endpoint.DeviceAuthURL and Endpoint.TokenURL, and InsecureAssumePKCE": func(s *lazyauth.Service) {
			s.Issuer, s.Flows = "", []lazyauth.Flow{lazyauth.FlowRedirect, lazyauth.FlowDevice}
		},
		"or else Endpoint.AuthURL, and InsecureAssumePKCE": func(s *lazyauth.Service) {
			s.Issuer, s.Endpoint = "", oauth2.Endpoint{TokenURL: "https://as.example/t"}
		},
		"nothing says that the authorization server has PKCE": func(s *lazyauth.Service) {
			s.Issuer, s.Endpoint = "", oauth2.Endpoint{AuthURL: "https://as.example/a", TokenURL: "https://as.example/t"}
		},
		`Service.RedirectURI "http://10.0.0.1:8085/": the redirect URI is not http on 127.0.0.1`:  func(s *lazyauth.Service) { s.RedirectURI = "http://10.0.0.1:8085/" },
		`Service.RedirectURI "http://127.0.0.1:x/": the redirect URI is not a URL: write http on`: func(s *lazyauth.Service) { s.RedirectURI = "http://127.0.0.1:x/" },
		"Service.Params: the parameter login_hint cannot":                                         func(s *lazyauth.Service) { s.Params = map[string][]string{"login_hint": {"x"}} },
		"say it by Options.SignInHint":                                                            func(s *lazyauth.Service) { s.Params = map[string][]string{"Login_Hint": {"x"}} },
		"or else Endpoint.DeviceAuthURL and Endpoint.TokenURL":                                    func(s *lazyauth.Service) { s.Issuer, s.Flows = "", nil },
		"the parameter redirect_uri cannot be added":                                              func(s *lazyauth.Service) { s.Params = map[string][]string{"redirect_uri": {"x"}} },
	} {
		s := lazyauth.Service{Name: "Notes", Issuer: "https://as.example", ClientID: "c", Flows: []lazyauth.Flow{lazyauth.FlowRedirect}}
		change(&s)
		if _, err := lazyauth.New(s, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want %q in it", err, want)
		}
	}
	s := lazyauth.Service{Name: "Notes", ClientID: "c", Flows: []lazyauth.Flow{lazyauth.FlowRedirect}, InsecureAssumePKCE: true, Endpoint: oauth2.Endpoint{AuthURL: "https://as.example/a", TokenURL: "https://as.example/t"}}
	auth, err := lazyauth.New(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	auth.Close()
}
