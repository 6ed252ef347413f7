package lazyauth_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/internal/pipenet"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// A desk is a world whose server runs on a machine with a browser.
type desk struct {
	*world.World
	machine *pipenet.Machine
	browser *world.Browser
}

// newDesk makes one where people sign in by these flows.
func newDesk(t *testing.T, s world.Setup, flows ...lazyauth.Flow) *desk {
	t.Helper()
	machine, service := new(pipenet.Machine), s.Service
	s.Service = func(to *lazyauth.Service) {
		to.Flows, to.UserInfo = flows, fakeas.DefaultAPI+"/me"
		if service != nil {
			service(to)
		}
	}
	s.Options = lazyauth.OnMachine(s.Options, machine.Listen, nil)
	t.Cleanup(func() { // after Close
		if n := machine.Listening(); n != 0 {
			t.Errorf("%d listeners are left", n)
		}
	})
	d := &desk{World: world.New(t, s), machine: machine}
	d.browser = d.Browser(machine)
	return d
}

// links returns the links that the host's person was shown, once what was asked for together is one
// prompt.
func links(h *world.Host) []string {
	world.Later(time.Second)
	synctest.Wait()
	var out []string
	for _, p := range h.Shown() {
		out = append(out, p.URL)
	}
	return out
}

// link returns the one link that the host's person was shown.
func (d *desk) link(h *world.Host) string {
	d.T.Helper()
	all := links(h)
	if len(all) != 1 {
		d.T.Fatalf("the person was shown %d links", len(all))
	}
	return all[0]
}

// prompted demands how prompts went out so far, each as its flow and channel.
func (d *desk) prompted(want ...string) {
	d.T.Helper()
	var got []string
	for _, info := range world.Infos[lazyauth.PromptedInfo](&d.Trace) {
		got = append(got, string(info.Flow)+" "+info.Channel)
	}
	if strings.Join(got, ", ") != strings.Join(want, ", ") {
		d.T.Errorf("prompted by %q, want %q", got, want)
	}
}

// shows demands a page, with this in it.
func (d *desk) shows(p world.Page, name string, parts ...string) {
	d.T.Helper()
	if p.Name != name {
		d.T.Errorf("the browser shows %q, want %q: %s", p.Name, name, p.HTML)
	}
	for _, part := range parts {
		if !strings.Contains(p.HTML, part) {
			d.T.Errorf("the page has no %q: %s", part, p.HTML)
		}
	}
}

// The person is shown the authorization server's own https address, signs in there, and comes back
// to a page that names the account; the call that asked goes on.
func TestRedirect_FirstCallIsResumed(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		d := newDesk(t, world.Setup{}, lazyauth.FlowRedirect)
		h := d.Host(era, world.Accepts)
		call := h.Call(t.Context(), "create_note", world.Note{Text: "buy milk"})
		link := d.link(h)
		u, err := url.Parse(link)
		if err != nil || u.Scheme != "https" || u.Query().Get("code_challenge_method") != "S256" || u.Query().Get("login_hint") != "" {
			t.Errorf("the link is %q (%v)", link, err)
		}
		if got := h.Shown()[0].Message; !strings.HasPrefix(got, "Sign in to Notes at as.example.test. It asks for: notes:write, profile. The link is valid for 10 minutes") || strings.Contains(got, "code") {
			t.Errorf("the person reads %q", got)
		}
		d.shows(d.browser.Approves(link), "signed-in", "Notes", "Ada Example")
		(<-call).Succeeds(t, "buy milk")
		d.prompted("redirect url")
		if granted := world.Infos[lazyauth.GrantedInfo](&d.Trace); len(granted) != 1 || granted[0].Flow != lazyauth.FlowRedirect || granted[0].Polls != 0 {
			t.Errorf("the trace is told %+v", granted)
		}
		world.Later(10 * time.Second)
		synctest.Wait()
		if n := d.machine.Listening(); n != 0 {
			t.Errorf("%d listeners are left although the sign-in is over", n)
		}
		h.Gets("create_note", world.Note{Text: "and bread"}, "and bread")
		h.WantPrompts(1)
	})
}

// More is asked for in the middle of a handler as it is in the device flow.
func TestRedirect_StepUp(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		d := newDesk(t, world.Setup{}, lazyauth.FlowRedirect)
		h := d.Host(era, world.Accepts)
		call := h.Call(t.Context(), "whoami", nil)
		d.browser.Approves(d.link(h))
		(<-call).Succeeds(t, "Ada")
		call = h.Call(t.Context(), "create_note", world.Note{Text: "buy milk"})
		all := links(h)
		if len(all) != 2 || !strings.Contains(h.Shown()[1].Message, "It needs more access: notes:write; you gave profile.") {
			t.Fatalf("%d prompts, the last one %q", len(all), h.Shown()[len(all)-1].Message)
		}
		d.shows(d.browser.Approves(all[1]), "signed-in")
		(<-call).Succeeds(t, "buy milk")
	})
}

func TestRedirect_WhatItComesTo(t *testing.T) {
	for name, story := range map[string]func(t *testing.T, d *desk, era string){
		"declined": func(t *testing.T, d *desk, era string) {
			h := d.Host(era, world.Says("decline", 5*time.Second))
			(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonDeclined)
			(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonDeclined)
			h.WantPrompts(1)
			synctest.Wait()
			if n := d.machine.Listening(); n != 0 {
				t.Errorf("%d listeners are left for a link that was declined", n)
			}
		},
		"denied": func(t *testing.T, d *desk, era string) {
			h := d.Host(era, world.Accepts)
			call := h.Call(t.Context(), "whoami", nil)
			d.shows(d.browser.Denies(d.link(h)), "denied")
			(<-call).Fails(t, lazyauth.ReasonDenied)
			synctest.Wait()
			warned(t, d.World, "authorization failed")
		},
		"pending, and then the next call": func(t *testing.T, d *desk, era string) {
			h := d.Host(era, world.Accepts)
			(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonPending)
			call := h.Call(t.Context(), "whoami", nil)
			all := links(h)
			d.shows(d.browser.Approves(all[0]), "signed-in")
			(<-call).Succeeds(t, "Ada")
			for _, link := range all {
				if link != all[0] {
					t.Error("one flight has two links")
				}
			}
		},
		"expired": func(t *testing.T, d *desk, era string) {
			h := d.Host(era, world.Accepts)
			(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonPending)
			world.Later(8*time.Minute + 30*time.Second)
			r := <-h.Call(t.Context(), "whoami", nil)
			r.Fails(t, lazyauth.ReasonExpired)
			if !strings.Contains(r.Text(), "its link expired") {
				t.Errorf("the model reads %q", r.Text())
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				story(t, newDesk(t, world.Setup{}, lazyauth.FlowRedirect), era)
			})
		})
	}
}

// Many calls are one prompt.
func TestRedirect_ManyCalls(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		d := newDesk(t, world.Setup{}, lazyauth.FlowRedirect)
		h := d.Host(era, world.Accepts)
		var calls []<-chan world.Reply
		for range 1000 {
			calls = append(calls, h.Call(t.Context(), "whoami", nil))
		}
		d.browser.Approves(d.link(h))
		for _, call := range calls {
			(<-call).Succeeds(t, "Ada")
		}
		h.WantPrompts(1)
		d.prompted("redirect url")
	})
}

// Where no elicitation of a link is possible, and nothing but the redirect is allowed, the link is
// the start page's, which is short enough for the one line that Gemini CLI has for progress in a
// terminal of 80 columns. A form never has it.
func TestRedirect_AsText(t *testing.T) {
	for name, manners := range map[string]world.Manners{
		"text":              {},
		"a form":            {Form: true, React: world.Accepts},
		"progress":          {Progress: true},
		"progress and form": {Progress: true, Form: true, React: world.Accepts},
	} {
		t.Run(name, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				d := newDesk(t, world.Setup{}, lazyauth.FlowRedirect)
				h := d.HostWith(era, manners)
				call := h.Call(t.Context(), "whoami", nil)
				link := ""
				if manners.Progress {
					world.Later(time.Second)
					said := h.Progress(1)[0].Message
					link, _, _ = strings.Cut(strings.TrimPrefix(said, "Open "), " ")
					if !strings.HasPrefix(link, "http://127.0.0.1:40001/start/") || strings.Index(said, link)+len(link) > 72 {
						t.Errorf("progress says %q", said)
					}
				}
				r := <-call
				r.Fails(t, lazyauth.ReasonPending)
				lines := strings.Split(r.Text(), "\n")
				if last := lines[len(lines)-1]; len(lines) != 2 || !strings.HasPrefix(last, "http://127.0.0.1:40001/start/") || link != "" && link != last {
					t.Fatalf("the model reads %q, and progress had %q", r.Text(), link)
				}
				world.Later(5 * time.Second)
				call = h.Call(t.Context(), "whoami", nil)
				synctest.Wait()
				d.shows(d.browser.Approves(lines[1]), "signed-in")
				(<-call).Succeeds(t, "Ada")
				h.WantPrompts(0)
			})
		})
	}
}

// A call that ends before its person is done speaks of no code where there is none, and the next one
// shows the link again.
func TestRedirect_OutlastsACall(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		d := newDesk(t, world.Setup{}, lazyauth.FlowRedirect)
		h := d.Host(era, world.Accepts)
		r := <-h.Call(t.Context(), "whoami", nil)
		r.Fails(t, lazyauth.ReasonPending)
		if text := r.Text(); strings.Contains(text, "code") || strings.Contains(text, "://") || !strings.Contains(text, "call this tool again") {
			t.Errorf("the model reads %q", text)
		}
		call := h.Call(t.Context(), "whoami", nil)
		all := links(h)
		if len(all) != 2 || all[0] != all[1] {
			t.Fatalf("the person was shown %q", all)
		}
		d.shows(d.browser.Approves(all[1]), "signed-in")
		(<-call).Succeeds(t, "Ada")
		d.prompted("redirect url", "redirect url")
	})
}

// A program that opens the browser itself has the calls of hosts without elicitation wait as
// those of others do, and tells the model the link when a wait ends.
func TestRedirect_OpenBrowser(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		var opened []string
		d := newDesk(t, world.Setup{Options: lazyauth.Options{OpenBrowser: func(_ context.Context, link string) error {
			opened = append(opened, link)
			return nil
		}}}, lazyauth.FlowRedirect, lazyauth.FlowDevice)
		h := d.HostWith(era, world.Manners{Progress: true})
		began := time.Now()
		calling := h.Call(t.Context(), "whoami", nil)
		world.Later(time.Second)
		if n := len(h.Progress(1)); n != 1 { // as the window appears, and not five seconds later
			t.Errorf("%d progress messages in the first second", n)
		}
		r := <-calling
		r.Fails(t, lazyauth.ReasonPending)
		if waited := time.Since(began); waited != 55*time.Second {
			t.Errorf("the call waited for %v", waited)
		}
		if len(opened) != 1 || !strings.HasPrefix(opened[0], "http://127.0.0.1:40001/start/") {
			t.Fatalf("opened: %q", opened)
		}
		if m := h.Progress(1)[0].Message; !strings.HasPrefix(m, "A browser window was opened to sign in to Notes.") || strings.Contains(m, "http") {
			t.Errorf("the person reads %q", m)
		}
		if !strings.HasSuffix(r.Text(), "\n"+opened[0]) {
			t.Errorf("the model reads %q", r.Text())
		}
		server := d.browser.Way(opened[0]) // so there is a browser on this machine
		call := h.Call(t.Context(), "whoami", nil)
		synctest.Wait()
		location, err := d.AS.ApproveURL(t.Context(), server)
		if err != nil {
			t.Fatal(err)
		}
		page, _ := d.browser.Load(location)
		d.shows(page, "signed-in", "Ada Example")
		(<-call).Succeeds(t, "Ada")
		d.prompted("redirect browser", "redirect text")
	})
}

// A browser that cannot be opened leaves the next flow, or says why there is none.
func TestRedirect_BrowserCannotBeOpened(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		options := lazyauth.Options{OpenBrowser: func(_ context.Context, link string) error { return errors.New("no browser to open " + link) }}
		d := newDesk(t, world.Setup{Options: options}, lazyauth.FlowRedirect, lazyauth.FlowDevice)
		h := d.Host(era, nil)
		(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonPending)
		d.prompted("device text")
		if against := world.Infos[lazyauth.PromptedInfo](&d.Trace)[0].Against; against == nil || !strings.Contains(against.Error(), "no browser to open [secret]") {
			t.Errorf("the trace is told %v", against)
		}

		alone := newDesk(t, world.Setup{Options: options}, lazyauth.FlowRedirect)
		r := <-alone.Host(era, nil).Call(t.Context(), "whoami", nil)
		r.Fails(t, lazyauth.ReasonUnavailable)
		if !strings.Contains(r.Text(), "could not open a browser") || strings.Contains(r.Text(), "http") {
			t.Errorf("the model reads %q", r.Text())
		}
	})
}

// A program that has another one open the link, by a request, quotes the request's address if that
// fails: what is logged of it has no link in it, in whatever way it is escaped.
func TestRedirect_BrowserCannotBeOpened_LinkInAnAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nonce := ""
		d := newDesk(t, world.Setup{Options: lazyauth.Options{OpenBrowser: func(_ context.Context, link string) error {
			nonce = link[strings.LastIndex(link, "/")+1:]
			return errors.Join(
				&url.Error{Op: "Get", URL: "http://127.0.0.1:1/open?url=" + url.QueryEscape(link), Err: errors.New("refused")},
				&url.Error{Op: "Get", URL: "http://127.0.0.1:1/" + url.PathEscape(link), Err: errors.New("refused")},
			)
		}}}, lazyauth.FlowRedirect, lazyauth.FlowDevice)
		(<-d.Host(world.Legacy, nil).Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonPending)
		if log := d.Log.String() + d.Slog.String(); nonce == "" || strings.Contains(log, nonce) || !strings.Contains(log, "open?url=[secret]") {
			t.Errorf("the log has %s", log)
		}
	})
}

// A model that calls again and again has no window opened each time, where one cannot be: a
// second try is made at once, and further ones later each time.
func TestRedirect_BrowserCannotBeOpened_NoStorm(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		opened := 0
		d := newDesk(t, world.Setup{Options: lazyauth.Options{OpenBrowser: func(context.Context, string) error {
			opened++
			return errors.New("no browser")
		}}}, lazyauth.FlowRedirect)
		h := d.Host(era, nil)
		for range 100 {
			(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonUnavailable)
		}
		if opened != 2 {
			t.Errorf("a browser was to be opened %d times", opened)
		}
		r := <-h.Call(t.Context(), "whoami", nil)
		if !strings.Contains(r.Text(), "could not open a browser") || !strings.Contains(r.Text(), "not tried again before 5 seconds have passed") {
			t.Errorf("the model reads %q", r.Text())
		}
		world.Later(5 * time.Second)
		(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonUnavailable)
		if opened != 3 {
			t.Errorf("a browser was to be opened %d times", opened)
		}
	})
}

// Where the program opens windows without asking first, there is no other way to say no than at the
// authorization server: no other window is opened for a minute, unless the person wants it.
func TestRedirect_DeniedInAWindow(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		var d *desk
		var windows sync.WaitGroup
		defer windows.Wait() // the last page, too
		opened := 0
		d = newDesk(t, world.Setup{Options: lazyauth.Options{OpenBrowser: func(_ context.Context, link string) error {
			opened++
			windows.Go(func() { d.browser.Denies(link) })
			return nil
		}}}, lazyauth.FlowRedirect, lazyauth.FlowDevice)
		h := d.Host(era, nil)
		r := <-h.Call(t.Context(), "whoami", nil)
		r.Fails(t, lazyauth.ReasonDenied)
		if !strings.Contains(r.Text(), "denied this server access") || !strings.Contains(r.Text(), "Calls within the next minute are refused without asking") {
			t.Errorf("the model reads %q", r.Text())
		}
		for range 50 {
			(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonDenied)
			world.Later(time.Second)
		}
		if opened != 1 {
			t.Errorf("%d windows were opened in a minute", opened)
		}
		d.Auth.ForgetDecline(lazyauth.LocalUser)
		(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonDenied)
		if opened != 2 {
			t.Errorf("%d windows were opened", opened)
		}
	})
}

// A browser that has come to the start page was opened, whatever the program says of that: one that runs
// as long as its window is there, say.
func TestRedirect_BrowserRunsOn(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		var d *desk
		way := make(chan string, 1)
		d = newDesk(t, world.Setup{Options: lazyauth.Options{OpenBrowser: func(ctx context.Context, link string) error {
			way <- d.browser.Way(link)
			<-ctx.Done()
			return ctx.Err()
		}}}, lazyauth.FlowRedirect, lazyauth.FlowDevice)
		call := d.HostWith(era, world.Manners{Progress: true}).Call(t.Context(), "whoami", nil)
		world.Later(25 * time.Second)
		location, err := d.AS.ApproveURL(t.Context(), <-way)
		if err != nil {
			t.Fatal(err)
		}
		page, _ := d.browser.Load(location)
		d.shows(page, "signed-in", "Ada Example")
		(<-call).Succeeds(t, "Ada")
		d.prompted("redirect browser")
	})
}

// Who is done in the browser before the program that opened it returns does not wait for that: the code is
// exchanged at once.
func TestRedirect_FasterThanOpenBrowser(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		var d *desk
		link := make(chan string, 1)
		opening := make(chan struct{})
		d = newDesk(t, world.Setup{Options: lazyauth.Options{OpenBrowser: func(ctx context.Context, l string) error {
			defer close(opening)
			link <- l
			<-ctx.Done()
			return ctx.Err()
		}}}, lazyauth.FlowRedirect, lazyauth.FlowDevice)
		began := time.Now()
		call := d.HostWith(era, world.Manners{Progress: true}).Call(t.Context(), "whoami", nil)
		d.shows(d.browser.Approves(<-link), "signed-in", "Ada Example")
		(<-call).Succeeds(t, "Ada")
		<-opening // the context is that of the sign-in
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// What an operator has to look at is named by the flow that the client was refused in.
func TestRedirect_ClientRefused(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		d := newDesk(t, world.Setup{}, lazyauth.FlowRedirect)
		d.AS.Script(fakeas.Exchange, fakeas.Error(401, "invalid_client"))
		h := d.Host(era, world.Accepts)
		call := h.Call(t.Context(), "whoami", nil)
		d.browser.Approves(d.link(h))
		r := <-call
		r.Fails(t, lazyauth.ReasonUnavailable)
		if text := r.Text(); strings.Contains(text, "device") || !strings.Contains(text, "may use sign-ins by a browser") {
			t.Errorf("the model reads %q", text)
		}
	})
}

// A program that asks by itself is handed the start page, which keeps out what others bring.
func TestRedirect_Authorize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, world.Setup{}, lazyauth.FlowRedirect)
		err := d.Auth.Authorize(t.Context(), lazyauth.LocalUser, nil, nil)
		if err == nil {
			t.Error("nothing is needed, and it is authorized")
		}
		d.SignsInBy(d.browser, "profile")
		d.prompted("redirect caller")
		d.Host(world.Legacy, nil).Gets("whoami", nil, "Ada")
	})
}

// A program that only waits is handed nothing: the link is fit for the hosts of the calls that
// it waits for.
func TestRedirect_AuthorizeWaits(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		d := newDesk(t, world.Setup{}, lazyauth.FlowRedirect)
		waited := make(chan error, 1)
		go func() { waited <- d.Auth.Authorize(t.Context(), lazyauth.LocalUser, scopes.Of("profile"), nil) }()
		world.Later(time.Second)
		h := d.Host(era, world.Accepts)
		call := h.Call(t.Context(), "whoami", nil)
		link := d.link(h)
		if !strings.HasPrefix(link, "https://") {
			t.Errorf("the host is shown %q", link)
		}
		d.shows(d.browser.Approves(link), "signed-in", "Ada Example")
		(<-call).Succeeds(t, "Ada")
		if err := <-waited; err != nil {
			t.Error(err)
		}
	})
}

// Somebody who has seen the link signs in with an account of theirs, and has the user's browser come
// back with that. Where the program opened the start page, it is refused; where the link is
// the authorization server's, the last page and the result name the account.
func TestRedirect_SomebodyElsesAnswer(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		var opened string
		d := newDesk(t, world.Setup{
			Options: lazyauth.Options{OpenBrowser: func(_ context.Context, link string) error {
				opened = link
				return nil
			}},
		}, lazyauth.FlowRedirect)
		h := d.HostWith(era, world.Manners{})
		call := h.Call(t.Context(), "whoami", nil)
		world.Later(time.Second)
		synctest.Wait()
		d.browser.Way(opened)
		elsewhere := d.Browser(d.machine) // of the same machine, or what the attacker could make of it
		location, err := d.AS.ApproveURLAs(t.Context(), "grace", elsewhere.Way(opened))
		if err != nil {
			t.Fatal(err)
		}
		page, _ := d.browser.Load(location)
		d.shows(page, "foreign")
		d.shows(d.browser.Approves(opened), "signed-in", "Ada Example")
		(<-call).Succeeds(t, "Ada")

		shown := newDesk(t, world.Setup{}, lazyauth.FlowRedirect)
		h = shown.Host(era, world.Accepts)
		call = h.Call(t.Context(), "whoami", nil)
		location, err = shown.AS.ApproveURLAs(t.Context(), "grace", shown.link(h))
		if err != nil {
			t.Fatal(err)
		}
		page, _ = shown.browser.Load(location)
		shown.shows(page, "signed-in", "Grace")
		r := <-call
		r.Succeeds(t, "Grace")
		if account := r.Result.Meta[lazyauth.MetaAccount]; account != "Grace Example" {
			t.Errorf("the result is that of account %v", account)
		}
	})
}

// Close in the middle leaves neither a goroutine, which the bubble would show, nor a listener.
func TestRedirect_Close(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		d := newDesk(t, world.Setup{}, lazyauth.FlowRedirect)
		h := d.Host(era, world.Accepts)
		call := h.Call(t.Context(), "whoami", nil)
		link := d.link(h)
		if err := d.Auth.Close(); err != nil {
			t.Error(err)
		}
		(<-call).Fails(t, lazyauth.ReasonUnavailable)
		synctest.Wait()
		warned(t, d.World)
		location, err := d.AS.ApproveURL(t.Context(), link)
		if err != nil {
			t.Fatal(err)
		}
		if page, _ := d.browser.Load(location); page.Name != "" || d.machine.Listening() != 0 {
			t.Errorf("a page %q after Close, of %d listeners", page.Name, d.machine.Listening())
		}
	})
}

// A redirect URI that is named is used as it is, and its port is one sign-in's at a time.
func TestRedirect_NamedURI(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		named := "http://127.0.0.1:8085/callback"
		d := newDesk(t, world.Setup{Service: func(s *lazyauth.Service) { s.RedirectURI = named }}, lazyauth.FlowRedirect)
		d.machine.Take("127.0.0.1:8085", true)
		h := d.Host(era, world.Accepts)
		r := <-h.Call(t.Context(), "whoami", nil)
		r.Fails(t, lazyauth.ReasonUnavailable)
		if !strings.Contains(r.Text(), "127.0.0.1:8085") {
			t.Errorf("the model reads %q", r.Text())
		}
		d.machine.Take("127.0.0.1:8085", false)
		call := h.Call(t.Context(), "whoami", nil)
		u, err := url.Parse(d.link(h))
		if err != nil || u.Query().Get("redirect_uri") != named {
			t.Errorf("the redirect URI is %q", u.Query().Get("redirect_uri"))
		}
		d.shows(d.browser.Approves(d.link(h)), "signed-in")
		(<-call).Succeeds(t, "Ada")
	})
}

// Over HTTP the caller sits at another machine, to which no redirect leads.
func TestRedirect_IsForTheLocalUser(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		options := lazyauth.Options{Principal: world.ByClientName, VerifyUser: world.Anybody}
		d := newDesk(t, world.Setup{Options: options}, lazyauth.FlowRedirect)
		r := <-d.Host(era, world.Accepts).Call(t.Context(), "whoami", nil)
		r.Fails(t, lazyauth.ReasonUnsupported)
		if !strings.Contains(r.Text(), "the machine where this server runs") || !strings.Contains(r.Text(), "Service.Flows") {
			t.Errorf("the model reads %q", r.Text())
		}
		d = newDesk(t, world.Setup{Options: options}, lazyauth.FlowRedirect, lazyauth.FlowDevice)
		h := d.Host(era, world.Accepts)
		call := h.Call(t.Context(), "whoami", nil)
		d.Approves()
		(<-call).Succeeds(t, "Ada")
		d.prompted("device url")
	})
}

// A server that takes pushed requests has a link with nothing in it; one that must have them and
// refuses leaves the next flow.
func TestRedirect_PushedRequest(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		pushes := fakeas.Options{Push: fakeas.PushRequired, PushLifetime: 5 * time.Minute}
		d := newDesk(t, world.Setup{AS: pushes}, lazyauth.FlowRedirect)
		h := d.Host(era, world.Accepts)
		call := h.Call(t.Context(), "whoami", nil)
		link := d.link(h)
		if u, err := url.Parse(link); err != nil || len(u.Query()) != 2 || u.Query().Get("request_uri") == "" || u.Query().Get("client_id") == "" {
			t.Errorf("the link is %q (%v)", link, err)
		}
		if m := h.Shown()[0].Message; !strings.Contains(m, "valid for 5 minutes") {
			t.Errorf("the person reads %q", m)
		}
		d.shows(d.browser.Approves(link), "signed-in", "Ada Example")
		(<-call).Succeeds(t, "Ada")

		d = newDesk(t, world.Setup{AS: pushes}, lazyauth.FlowRedirect, lazyauth.FlowDevice)
		d.AS.Script(fakeas.PushedAuthorization, fakeas.Error(400, "invalid_request"))
		h = d.Host(era, world.Accepts)
		call = h.Call(t.Context(), "whoami", nil)
		d.Approves()
		(<-call).Succeeds(t, "Ada")
		d.prompted("device url")
	})
}

// A person who declines the code, too, that came in place of a link ends both: nothing is left
// for a link that nobody wants.
func TestRedirect_DeclinedAfterAnother(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		d := newDesk(t, world.Setup{}, lazyauth.FlowRedirect, lazyauth.FlowDevice)
		h := d.Host(era, world.InTurn(world.Accepts, world.Says("decline", 5*time.Second)))
		(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonPending)
		(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonDeclined)
		d.prompted("redirect url", "device url")
		world.Later(10 * time.Second)
		synctest.Wait()
		if n := d.machine.Listening(); n != 0 {
			t.Errorf("%d listeners are left", n)
		}
		(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonDeclined)
	})
}

// A code that the server refuses, as one that somebody else has brought, ends nothing: the person
// starts again, in the same sign-in. One that is lost is not sent twice.
func TestRedirect_CodeRefused(t *testing.T) {
	for name, behaviour := range map[string]fakeas.Behaviour{"refused": fakeas.Error(400, "invalid_grant"), "lost": fakeas.Lose()} {
		t.Run(name, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				d := newDesk(t, world.Setup{}, lazyauth.FlowRedirect)
				h := d.Host(era, world.Accepts)
				call := h.Call(t.Context(), "whoami", nil)
				link := d.link(h)
				d.AS.Script(fakeas.Exchange, behaviour)
				d.shows(d.browser.Approves(link), "again", "/start/")
				d.shows(d.browser.Approves(link), "signed-in", "Ada Example")
				(<-call).Succeeds(t, "Ada")
				h.WantPrompts(1)
				var outcomes []string
				for _, info := range world.Infos[lazyauth.RedirectedInfo](&d.Trace) {
					outcomes = append(outcomes, info.Outcome)
				}
				want := map[string]string{"refused": "came code_refused came granted", "lost": "came answer_lost came granted"}[name]
				if got := strings.Join(outcomes, " "); got != want {
					t.Errorf("the trace is told %q, want %q", got, want)
				}
			})
		})
	}
}

// What a redirect brought is kept, refreshed, and found by the next process, as what a code
// brought is; and each account of a person is asked for by itself.
func TestRedirect_StoredAndRefreshed(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		kept := store.Memory()
		setup := world.Setup{AS: fakeas.Options{TokenLifetime: time.Hour}, Options: lazyauth.Options{Store: kept, Account: lazyauth.AccountFromHost()}}
		d := newDesk(t, setup, lazyauth.FlowRedirect)
		h := d.HostWith(era, world.Manners{Name: "one", URL: true, React: world.Accepts})
		call := h.Call(t.Context(), "whoami", nil)
		link := d.link(h)
		if m := h.Shown()[0].Message; !strings.Contains(m, `Notes (account "one")`) {
			t.Errorf("the person reads %q", m)
		}
		d.browser.Approves(link)
		(<-call).Succeeds(t, "Ada")

		setup.Shared = d.AS
		next := newDesk(t, setup, lazyauth.FlowRedirect)
		world.Later(2 * time.Hour)
		h = next.HostWith(era, world.Manners{Name: "one", URL: true, React: world.Accepts})
		h.Gets("whoami", nil, "Ada")
		h.WantPrompts(0)
		if n := d.AS.Count(fakeas.Refresh, fakeas.OK); n != 1 {
			t.Errorf("refreshed %d times", n)
		}
	})
}
