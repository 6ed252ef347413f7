package scopes

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
)

// GitHub returns the hierarchy of GitHub's scopes, as far as its documentation
// ("Scopes for OAuth apps") and its command-line client agree on it:
//
//	repo              ⊃ public_repo, repo:status, repo_deployment, repo:invite, security_events
//	user              ⊃ read:user, user:email, user:follow
//	admin:X           ⊃ write:X ⊃ read:X   for org, public_key, repo_hook, gpg_key, ssh_signing_key
//	write:X           ⊃ read:X             for packages, discussion
//	project           ⊃ read:project
//	codespace         ⊃ codespace:secrets
//	admin:enterprise  ⊃ manage_runners:enterprise, manage_billing:enterprise, read:enterprise
//
// GitHub drops what another scope implies from the list that it grants, so a
// client that asks for "user user:email" has to know that "user" is both.
// Scopes that merely overlap, such as repo and admin:repo_hook, imply nothing
// here: where either will do, declare it with [AnyOf].
func GitHub() *Hierarchy { return gitHub() }

var gitHub = sync.OnceValue(func() *Hierarchy {
	implies := map[string]Set{
		"repo":             Of("public_repo", "repo:invite", "repo:status", "repo_deployment", "security_events"),
		"user":             Of("read:user", "user:email", "user:follow"),
		"project":          Of("read:project"),
		"codespace":        Of("codespace:secrets"),
		"admin:enterprise": Of("manage_billing:enterprise", "manage_runners:enterprise", "read:enterprise"),
		"write:packages":   Of("read:packages"),
		"write:discussion": Of("read:discussion"),
	}
	for _, what := range []string{"org", "public_key", "repo_hook", "gpg_key", "ssh_signing_key"} {
		implies["admin:"+what] = Of("write:" + what)
		implies["write:"+what] = Of("read:" + what)
	}
	h, err := NewHierarchy(implies)
	if err != nil {
		panic(err)
	}
	return h
})

// GitHubDemand is the [Dialect] of GitHub and GitHub Enterprise, which send no
// Bearer challenges. On 403, and on 404, behind which they hide what a token may
// not see, X-Accepted-OAuth-Scopes lists scopes any one of which suffices, and
// X-OAuth-Scopes what the token has. If the latter, under [GitHub], is none of
// the former, more scopes are needed. Otherwise something else is wrong: both
// headers are on every answer.
//
// More scopes would not help, and none are demanded, if no scopes are listed or
// the token is of a kind that has none; if the rate limit is reached; or if an
// organization wants the token authorized for its single sign-on. For these and
// for all other statuses GitHubDemand returns [BearerDemand]. A 404 for what
// does not exist at all looks like one for what is hidden, so it can demand
// scopes that then change nothing.
//
// It is for OAuth apps. The token of a GitHub App has permissions and no scopes:
// it is granted as "scope": "", and its X-OAuth-Scopes is empty, just like that of
// an OAuth app which was granted nothing, so more would be asked for in vain
// ("Differences between GitHub Apps and OAuth apps", docs.github.com). For such an
// app leave the dialect at [BearerDemand], and have tools need the empty set.
//
// An error wraps [ErrInvalid] if one of the lists is unusable, or is one of
// [BearerDemand].
func GitHubDemand(status int, header http.Header) (Demand, error) {
	if (status != http.StatusForbidden && status != http.StatusNotFound) || gitHubRefusesAnyway(header) {
		return BearerDemand(status, header)
	}
	accepted, err := scopeList(header, "X-Accepted-Oauth-Scopes")
	if err != nil {
		return Demand{}, err
	}
	held, err := scopeList(header, "X-Oauth-Scopes")
	if err != nil {
		return Demand{}, err
	}
	if accepted.IsEmpty() || len(header.Values("X-Oauth-Scopes")) == 0 {
		return BearerDemand(status, header)
	}
	needs := anyOne(accepted)
	if GitHub().Covers(held, needs) {
		return BearerDemand(status, header)
	}
	return Demand{More: true, Needs: needs, Held: held, HeldKnown: true}, nil
}

// gitHubRefusesAnyway reports whether the response names a reason for its
// refusal that no scope removes.
func gitHubRefusesAnyway(header http.Header) bool {
	return header.Get("X-Ratelimit-Remaining") == "0" ||
		header.Get("Retry-After") != "" ||
		strings.HasPrefix(header.Get("X-Github-Sso"), "required")
}

// scopeList reads a header that lists scopes.
func scopeList(header http.Header, name string) (Set, error) {
	values := header.Values(name)
	if err := checkValues(values); err != nil {
		return Set{}, fmt.Errorf("%w: %w in %s", ErrInvalid, err, name)
	}
	set, err := Parse(strings.Join(values, ","))
	if err != nil {
		return Set{}, fmt.Errorf("%w, in %s", err, name)
	}
	return set, nil
}
