package interop_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"
)

// linked waits until the call has shown the person a link, and returns it. It goes to the
// authorization server and says nothing of them, and there is no code to type.
func (s *story) linked(c *calling) string {
	s.Helper()
	p := s.shown(c)
	if p.Mode != "url" || s.as.userCode.MatchString(p.Message) {
		s.Fatalf("asked in mode %q: %+v", p.Mode, p)
	}
	return s.judged(p.URL)
}

// judged returns a link that a person was given, unless it should not have been.
func (s *story) judged(link string) string {
	s.Helper()
	u, err := url.Parse(link)
	if err != nil || !strings.HasPrefix(link, s.as.endpoints(s.T).Authorization+"?") || u.Query().Has("login_hint") {
		s.Fatalf("asked to open %q, %v", link, err)
	}
	for _, name := range []string{"state", "request_uri"} {
		if secret := u.Query().Get(name); secret != "" && !slices.Contains(*s.links, secret) {
			*s.links = append(*s.links, secret)
		}
	}
	return link
}

// comesBack has the person open a link, decide, and come back to this page.
func (s *story) comesBack(link string, v verdict, name string) {
	s.Helper()
	caught, err := s.browser.walk(s.ctx, link, v)
	if err != nil {
		s.Fatal(err)
	}
	at, err := s.browser.load(s.ctx, caught)
	if err != nil || at.name != name {
		s.Fatalf("came back to %+v, %v, want the page %q\n%s", at, err, name, s.stderr())
	}
}

// Any host that shows links: the first call asks, the person comes back and that very call goes on; the
// next one asks nobody; and one that needs more asks for what is new.
func TestRedirect_FirstCall(t *testing.T) {
	everyHost(t, storyOptions{redirect: true}, func(t *testing.T, s *story) {
		whoami := s.begin("whoami", nil)
		s.signIn(whoami)
		s.answered(whoami, s.person.name)
		s.call("whoami", nil, s.person.name)
		create := s.begin("create_note", map[string]any{"text": "a note"})
		s.signIn(create)
		s.answered(create, "a note")
		s.call("whoami", nil, s.person.name)
		s.finish(2)
		if want := []string{"profile", "notes:write"}; !slices.Equal(s.person.consented, want) {
			t.Errorf("the person was asked for %q, want %q", s.person.consented, want)
		}
	})
}

// The person says no; the next call asks them anew.
func TestRedirect_DeniedThenApproved(t *testing.T) {
	t.Parallel()
	bothEras(t, storyOptions{redirect: true}, func(t *testing.T, s *story) {
		whoami := s.begin("whoami", nil)
		s.comesBack(s.linked(whoami), denies, "denied")
		s.refused(whoami, "denied")
		again := s.begin("whoami", nil)
		s.signIn(again)
		s.answered(again, s.person.name)
		s.finish(2)
	})
}

// Step-up, in the same browser and in another one: as with device codes, it is one grant or two, and
// the replaced token lives on in both.
func TestRedirect_StepUp(t *testing.T) {
	t.Parallel()
	for name, jars := range map[string]int{"one cookie jar": 1, "a fresh jar each": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bothEras(t, storyOptions{redirect: true}, func(t *testing.T, s *story) {
				whoami := s.begin("whoami", nil)
				s.signIn(whoami)
				s.answered(whoami, s.person.name)
				if jars == 2 {
					s.person.changeBrowser()
				}
				create := s.begin("create_note", map[string]any{"text": "a note"})
				s.signIn(create)
				s.answered(create, "a note")
				s.call("whoami", nil, s.person.name)
				if grants := s.alive(2); len(grants) != jars {
					t.Errorf("grants %q, want %d: this is not the story that it should be", grants, jars)
				}
				s.finish(2)
				s.alive(2) // nor when the server ends
			})
		})
	}
}

// The same at better-auth, in one browser with script.
func TestRedirect_StepUpAtBetterAuth(t *testing.T) {
	t.Parallel()
	bothEras(t, storyOptions{as: world.better["plain"], redirect: true}, func(_ *testing.T, s *story) {
		whoami := s.begin("whoami", nil)
		s.signIn(whoami)
		s.answered(whoami, s.person.name)
		create := s.begin("create_note", map[string]any{"text": "a note"})
		s.signIn(create)
		s.answered(create, "a note")
		s.call("whoami", nil, s.person.name)
		s.alive(2)
		s.finish(2)
	})
}

// Tokens that came by a redirect are refreshed, one refresh for all calls, with rotation.
func TestRedirect_Refresh(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]storyOptions{
		"oidc-provider": {kind: forgetfulClient, redirect: true},
		"better-auth":   {as: world.better["forgetful"], redirect: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bothEras(t, o, func(t *testing.T, s *story) {
				refreshing(t, s)
				s.presentedOnce()
			})
		})
	}
}

// A host that shows nothing: the model passes the link on, and the next call has the answer.
func TestRedirect_WithoutElicitation(t *testing.T) {
	t.Parallel()
	bothEras(t, storyOptions{redirect: true, reach: byText}, func(_ *testing.T, s *story) {
		text := s.refused(s.begin("whoami", nil), "pending").text()
		// What a model passes on is the start page, which is short, and which binds the browser that opens it.
		s.comesBack(s.addressIn(text, "http://127.0.0.1:"), approves, "signed-in")
		s.call("whoami", nil, s.person.name)
		s.finish(0)
	})
}

// Several servers of one person keep their grant in one folder: signed in by a redirect at one,
// nobody is asked at the other.
func TestRedirect_Kept(t *testing.T) {
	t.Parallel()
	one := newStory(t, storyOptions{redirect: true, kept: true, era: legacy, start: startGoSDK})
	whoami := one.begin("whoami", nil)
	one.signIn(whoami)
	one.answered(whoami, one.person.name)
	two := one.another(modern, one.folder)
	two.call("whoami", nil, one.person.name)
	two.finish(0)
	one.finish(1)
}
