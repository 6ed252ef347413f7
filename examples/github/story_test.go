package main

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/examples/internal/hosttest"
)

// act plays a story in both protocol eras, in virtual time and without sockets,
// with the github.com that the program would talk to.
func act(t *testing.T, story func(t *testing.T, g *gitHub, host *hosttest.Host)) {
	t.Helper()
	actWith(t, "github.com", func(g *gitHub) http.RoundTripper { return g }, story)
}

func actWith(t *testing.T, at string, transport func(*gitHub) http.RoundTripper, story func(t *testing.T, g *gitHub, host *hosttest.Host)) {
	t.Helper()
	for _, protocol := range hosttest.Protocols {
		t.Run(protocol, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGitHub(t, at, 5*time.Second)
				cfg, err := parseFlags([]string{"-client-id", clientID, "-host", at})
				if err != nil {
					t.Fatal(err)
				}
				if err := cfg.openLog(); err != nil {
					t.Fatal(err)
				}
				cfg.transport = transport(g)
				server, auth, err := newServer(cfg)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					if err := auth.Close(); err != nil {
						t.Error(err)
					}
				})
				story(t, g, hosttest.ConnectInMemory(t, g.as, protocol, server))
				for _, violation := range g.as.Violations() {
					t.Error(violation)
				}
			})
		})
	}
}

var (
	helloWorld = map[string]any{"repository": "octocat/hello-world"}
	recipe     = map[string]any{"file_name": "recipe.md", "content": "Stir."}
)

const (
	isOctocat     = `{"html_url":"https://github.com/octocat","login":"octocat"}`
	isStarred     = `{"repository":"octocat/hello-world","starred":true}`
	isFirstGist   = `{"html_url":"https://gist.github.com/1","id":"1","public":false}`
	listsPublic   = `{"more":false,"repositories":[{"full_name":"octocat/hello-world","html_url":"https://github.com/octocat/hello-world","private":false,"stargazers_count":80,"updated_at":"2026-02-01T12:00:00Z"}]}`
	readUser      = "read:user"
	andPublicRepo = "public_repo read:user"
	andGist       = "gist public_repo read:user"
)

func TestEachToolAsksForWhatItNeeds(t *testing.T) {
	act(t, func(t *testing.T, g *gitHub, host *hosttest.Host) {
		host.WantAnswer("whoami", nil, isOctocat)
		host.WantAsked(readUser)
		host.WantAnswer("list_repositories", nil, listsPublic)
		host.WantAsked(readUser, andPublicRepo)
		host.WantAnswer("star_repository", helloWorld, isStarred)
		host.WantAsked(readUser, andPublicRepo)
		host.WantAnswer("create_gist", recipe, isFirstGist)
		host.WantAsked(readUser, andPublicRepo, andGist)
		host.WantAnswer("whoami", nil, isOctocat) // the last sign-in kept what the first had
		host.WantAsked(readUser, andPublicRepo, andGist)
		g.wantJournal("GET /user 200", "GET /user/repos 200", "PUT /user/starred/octocat/hello-world 204", "POST /gists 201", "GET /user 200")
		if !g.stars["octocat/hello-world"] || len(g.gists) != 1 || g.gists[0] != `{"recipe.md":{"content":"Stir."}}` {
			t.Errorf("stars %v, gists %q", g.stars, g.gists)
		}
	})
}

func TestPrivateRepositoriesTakeTheBroaderScope(t *testing.T) {
	act(t, func(t *testing.T, _ *gitHub, host *hosttest.Host) {
		host.WantAnswer("list_repositories", nil, listsPublic)
		host.WantAsked("public_repo")
		all := hosttest.Text(host.Call("list_repositories", map[string]any{"private": true}))
		if !strings.Contains(all, "octocat/diary") || !strings.Contains(all, "octocat/hello-world") {
			t.Errorf("not both repositories: %s", all)
		}
		host.WantAsked("public_repo", "repo")
		// GitHub calls that "repo" alone. It is enough for what public_repo is.
		host.WantAnswer("star_repository", helloWorld, isStarred)
		host.WantAnswer("list_repositories", nil, listsPublic)
		host.WantAsked("public_repo", "repo")
	})
}

func TestABroaderScopeSuffices(t *testing.T) {
	act(t, func(t *testing.T, g *gitHub, host *hosttest.Host) {
		host.Decide = func(request fakeas.Request) string {
			if err := g.as.Approve(request.UserCode, "user", "repo"); err != nil {
				t.Error(err)
			}
			return "accept"
		}
		host.WantAnswer("whoami", nil, isOctocat)
		host.WantAnswer("star_repository", helloWorld, isStarred)
		host.WantAnswer("list_repositories", nil, listsPublic)
		host.WantAsked(readUser)
	})
}

// That a repository is private is learnt from GitHub, in the middle of the call.
func TestStarringAPrivateRepositoryAsksForMoreInMidCall(t *testing.T) {
	act(t, func(_ *testing.T, g *gitHub, host *hosttest.Host) {
		diary := map[string]any{"repository": "octocat/diary"}
		host.WantAnswer("star_repository", diary, `{"repository":"octocat/diary","starred":true}`)
		host.WantAsked("public_repo", "repo")
		g.wantJournal("PUT /user/starred/octocat/diary 404", "PUT /user/starred/octocat/diary 204")
		host.WantError("star_repository", map[string]any{"repository": "octocat/nothing"}, "nothing of that name")
		host.WantAsked("public_repo", "repo")
	})
}

// On GitHub people can take scopes away from a token that was issued. The API
// then answers 404, and lists what it would take.
func TestAScopeThatWasTakenAwayIsAskedForInMidCall(t *testing.T) {
	act(t, func(t *testing.T, g *gitHub, host *hosttest.Host) {
		host.WantAnswer("create_gist", recipe, isFirstGist)
		g.mu.Lock()
		g.taken = []string{"gist"}
		g.mu.Unlock()
		host.Decide = func(request fakeas.Request) string {
			g.mu.Lock()
			g.taken = nil // what is approved now counts
			g.mu.Unlock()
			return host.Approve(request)
		}
		host.WantAnswer("create_gist", recipe, strings.ReplaceAll(isFirstGist, "1", "2"))
		host.WantAsked("gist", "gist")
		g.wantJournal("POST /gists 201", "POST /gists 404", "POST /gists 201")
	})
}

func TestARevokedTokenIsReplacedInMidCall(t *testing.T) {
	act(t, func(_ *testing.T, g *gitHub, host *hosttest.Host) {
		host.WantAnswer("create_gist", recipe, isFirstGist)
		g.as.RevokeAll()
		host.WantAnswer("create_gist", recipe, strings.ReplaceAll(isFirstGist, "1", "2"))
		host.WantAsked("gist", "gist")
		g.wantJournal("POST /gists 201", "POST /gists 401", "POST /gists 201")
	})
}

func TestWhatWasNotGrantedIsNamed(t *testing.T) {
	act(t, func(t *testing.T, g *gitHub, host *hosttest.Host) {
		host.WantAnswer("whoami", nil, isOctocat)
		host.Decide = func(request fakeas.Request) string {
			if err := g.as.Approve(request.UserCode, "read:user"); err != nil {
				t.Error(err)
			}
			return "accept"
		}
		host.WantError("create_gist", recipe, "missing: gist")
		g.wantJournal("GET /user 200")
	})
}

func TestDenied(t *testing.T) {
	act(t, func(_ *testing.T, _ *gitHub, host *hosttest.Host) {
		host.Decide = host.Deny
		host.WantError("whoami", nil, "denied")
	})
}

func TestDeviceFlowThatIsNotEnabled(t *testing.T) {
	act(t, func(_ *testing.T, g *gitHub, host *hosttest.Host) {
		g.as.Script(fakeas.DeviceAuthorization, fakeas.Error(http.StatusBadRequest, "device_flow_disabled"))
		host.WantError("whoami", nil, "Its operator must enable it")
	})
}

// withoutAccept is GitHub as it answers whoever does not ask for JSON.
type withoutAccept struct{ *gitHub }

func (g withoutAccept) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPost && r.URL.Host == "github.com" {
		r = r.Clone(r.Context())
		r.Header.Del("Accept")
	}
	return g.gitHub.RoundTrip(r)
}

func TestSignsInThroughForms(t *testing.T) {
	forms := func(g *gitHub) http.RoundTripper { return withoutAccept{g} }
	actWith(t, "github.com", forms, func(_ *testing.T, g *gitHub, host *hosttest.Host) {
		g.as.Script(fakeas.Poll, fakeas.Pending(), fakeas.SlowDown(20*time.Second), fakeas.Pending())
		host.WantAnswer("whoami", nil, isOctocat)
		host.WantAnswer("list_repositories", nil, listsPublic)
		host.WantAsked(readUser, andPublicRepo)
	})
}

func TestAnotherGitHub(t *testing.T) {
	for _, at := range []string{"github.example.com", "github.example.com:8443", "octocorp.ghe.com"} {
		t.Run(at, func(t *testing.T) {
			actWith(t, at, func(g *gitHub) http.RoundTripper { return g }, func(_ *testing.T, g *gitHub, host *hosttest.Host) {
				host.Decide = func(request fakeas.Request) string {
					if want := "https://" + at + "/login/device"; request.VerificationURI != want {
						t.Errorf("the user was sent to %s, want %s", request.VerificationURI, want)
					}
					return host.Approve(request)
				}
				host.WantAnswer("whoami", nil, isOctocat)
				g.wantJournal("GET /user 200")
			})
		})
	}
}

func TestListsNoMoreThanAskedFor(t *testing.T) {
	for _, test := range []struct {
		there, limit, wantListed, wantRequests int
		wantMore                               bool
	}{
		{there: 0, limit: 0, wantListed: 0, wantRequests: 1},
		{there: 29, limit: 0, wantListed: 29, wantRequests: 1},
		{there: 31, limit: 0, wantListed: 30, wantRequests: 1, wantMore: true},
		{there: 50, limit: 300, wantListed: 50, wantRequests: 1},
		{there: 250, limit: 1, wantListed: 1, wantRequests: 1, wantMore: true},
		{there: 160, limit: 150, wantListed: 150, wantRequests: 2, wantMore: true},
		{there: 250, limit: 150, wantListed: 150, wantRequests: 2, wantMore: true},
		{there: 250, limit: 200, wantListed: 200, wantRequests: 2, wantMore: true},
		{there: 250, limit: 300, wantListed: 250, wantRequests: 3},
		{there: 1000, limit: 300, wantListed: 300, wantRequests: 3, wantMore: true},
	} {
		t.Run(fmt.Sprintf("%d of %d", test.limit, test.there), func(t *testing.T) {
			act(t, func(t *testing.T, g *gitHub, host *hosttest.Host) {
				g.repositories = make([]repository, test.there)
				for n := range g.repositories {
					g.repositories[n].Name = "octocat/number-" + strconv.Itoa(n)
				}
				arguments := map[string]any{"limit": test.limit}
				if test.limit == 0 {
					delete(arguments, "limit")
				}
				text := hosttest.Text(host.Call("list_repositories", arguments))
				listed, more := strings.Count(text, `"full_name"`), strings.Contains(text, `"more":true`)
				if listed != test.wantListed || more != test.wantMore || len(g.journal) != test.wantRequests {
					t.Errorf("%d listed, more: %t, in %d requests; want %d, %t, %d",
						listed, more, len(g.journal), test.wantListed, test.wantMore, test.wantRequests)
				}
				if !strings.Contains(text, `"repositories":[`) {
					t.Errorf("the list is none: %.80s", text)
				}
			})
		})
	}
}

func TestWhatMakesNoSenseReachesNoAPI(t *testing.T) {
	act(t, func(_ *testing.T, g *gitHub, host *hosttest.Host) {
		for _, name := range []string{"", "hello-world", "octocat/", "/hello-world", "octocat/..", "octocat/.", "octocat/a/b", "octocat/a?b", "octocat/a%2fb", "octo cat/a"} {
			host.WantError("star_repository", map[string]any{"repository": name}, "give owner/name")
		}
		for _, limit := range []int{-1, 301} {
			host.WantError("list_repositories", map[string]any{"limit": limit}, "give 1 to 300")
		}
		host.WantError("create_gist", map[string]any{"file_name": " ", "content": "x"}, "file_name is empty")
		host.WantError("create_gist", map[string]any{"file_name": "x", "content": "\n"}, "content is empty")
		g.wantJournal()
	})
}
