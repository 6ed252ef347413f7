package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// What hosts are told about the tools. Many ask the user before they run a
// tool that is not marked read-only, and some refuse to run one unattended.
var (
	whoamiTool = &mcp.Tool{
		Name:        "whoami",
		Title:       "Who am I",
		Description: "Tells which GitHub user is signed in.",
		Annotations: readOnly("Who am I"),
	}
	listRepositoriesTool = &mcp.Tool{
		Name:        "list_repositories",
		Title:       "List repositories",
		Description: "Lists repositories that the user has access to on GitHub, the most recently updated first.",
		Annotations: readOnly("List repositories"),
	}
	createGistTool = &mcp.Tool{
		Name:        "create_gist",
		Title:       "Create gist",
		Description: "Puts a text on GitHub as a new gist of the user's with one file.",
		Annotations: adds("Create gist", false), // twice makes two gists
	}
	starRepositoryTool = &mcp.Tool{
		Name:        "star_repository",
		Title:       "Star repository",
		Description: "Stars a repository on GitHub for the user.",
		Annotations: adds("Star repository", true),
	}
)

func readOnly(title string) *mcp.ToolAnnotations {
	return &mcp.ToolAnnotations{Title: title, ReadOnlyHint: true, IdempotentHint: true, OpenWorldHint: new(true)}
}

// adds is for tools that change something and destroy nothing.
func adds(title string, idempotent bool) *mcp.ToolAnnotations {
	return &mcp.ToolAnnotations{Title: title, DestructiveHint: new(false), IdempotentHint: idempotent, OpenWorldHint: new(true)}
}

type nothing struct{}

type user struct {
	Login string `json:"login" jsonschema:"the name that the user signs in with"`
	Name  string `json:"name,omitempty" jsonschema:"the name that the user goes by"`
	URL   string `json:"html_url" jsonschema:"the user's page"`
}

func (g gitHubAPI) whoami(ctx context.Context, _ *mcp.CallToolRequest, _ nothing) (*mcp.CallToolResult, user, error) {
	var who user
	_, err := g.do(ctx, http.MethodGet, "/user", nil, &who)
	return nil, who, err
}

type repositoryQuery struct {
	Limit   int  `json:"limit,omitempty" jsonschema:"how many repositories to list at most, 1 to 300; 30 if not given"`
	Private bool `json:"private,omitempty" jsonschema:"whether to list private repositories as well; the user may be asked for full access to their repositories"`
}

type repository struct {
	Name        string `json:"full_name" jsonschema:"owner/name"`
	Description string `json:"description,omitempty"`
	Private     bool   `json:"private"`
	Stars       int    `json:"stargazers_count"`
	UpdatedAt   string `json:"updated_at"`
	URL         string `json:"html_url"`
}

type repositoryList struct {
	Repositories []repository `json:"repositories"`
	More         bool         `json:"more" jsonschema:"whether there are more than were listed"`
}

const (
	defaultLimit = 30
	maxLimit     = 300
	maxPage      = 100 // GitHub's own limit for one answer
)

// listRepositories needs more for private repositories than the tool declares,
// and knows so beforehand: GitHub would not refuse the narrower scope, it would
// leave them out.
func (g gitHubAPI) listRepositories(ctx context.Context, _ *mcp.CallToolRequest, in repositoryQuery) (*mcp.CallToolResult, repositoryList, error) {
	list := repositoryList{Repositories: []repository{}} // an empty list is [], not null
	limit, visibility := in.Limit, "public"
	if limit == 0 {
		limit = defaultLimit
	}
	if limit < 1 || limit > maxLimit {
		return nil, list, fmt.Errorf("limit is %d: give 1 to %d", in.Limit, maxLimit)
	}
	if in.Private {
		visibility = "all"
		if err := lazyauth.Require(ctx, scopes.Of("repo")); err != nil {
			return nil, list, err
		}
	}
	perPage := min(limit, maxPage)
	pages := (limit + perPage - 1) / perPage
	query := url.Values{"visibility": {visibility}, "sort": {"updated"}, "per_page": {strconv.Itoa(perPage)}}
	for page := range pages {
		query.Set("page", strconv.Itoa(page+1))
		var found []repository
		header, err := g.do(ctx, http.MethodGet, "/user/repos?"+query.Encode(), nil, &found)
		if err != nil {
			return nil, list, err
		}
		list.Repositories = append(list.Repositories, found...)
		// Pages are counted here, and not taken from the links: those may lead
		// anywhere, and for ever.
		if list.More = strings.Contains(header.Get("Link"), `rel="next"`); !list.More {
			break
		}
	}
	if len(list.Repositories) > limit {
		list.Repositories, list.More = list.Repositories[:limit], true
	}
	return nil, list, nil
}

type newGist struct {
	FileName    string `json:"file_name" jsonschema:"the name of the file, such as notes.md"`
	Content     string `json:"content" jsonschema:"what the file says"`
	Description string `json:"description,omitempty" jsonschema:"what the gist is"`
	Public      bool   `json:"public,omitempty" jsonschema:"whether everybody can find the gist; if not, only who knows its address can read it"`
}

type gist struct {
	ID     string `json:"id"`
	Public bool   `json:"public"`
	URL    string `json:"html_url" jsonschema:"the gist's address"`
}

func (g gitHubAPI) createGist(ctx context.Context, _ *mcp.CallToolRequest, in newGist) (*mcp.CallToolResult, gist, error) {
	var created gist
	switch {
	case strings.TrimSpace(in.FileName) == "":
		return nil, created, errors.New("file_name is empty: give one such as notes.md")
	case strings.TrimSpace(in.Content) == "":
		return nil, created, errors.New("content is empty: say what the file should say")
	}
	type file struct {
		Content string `json:"content"`
	}
	_, err := g.do(ctx, http.MethodPost, "/gists", struct {
		Description string          `json:"description"`
		Public      bool            `json:"public"`
		Files       map[string]file `json:"files"`
	}{in.Description, in.Public, map[string]file{in.FileName: {in.Content}}}, &created)
	return nil, created, err
}

type repositoryName struct {
	Repository string `json:"repository" jsonschema:"owner/name, such as octocat/hello-world"`
}

type starred struct {
	Repository string `json:"repository" jsonschema:"owner/name"`
	Starred    bool   `json:"starred"`
}

// fullName is what owners and repositories can be called. It keeps a name from
// being another path of the API.
var fullName = regexp.MustCompile(`^[A-Za-z0-9_-]+/[A-Za-z0-9._-]+$`)

func (g gitHubAPI) starRepository(ctx context.Context, _ *mcp.CallToolRequest, in repositoryName) (*mcp.CallToolResult, starred, error) {
	_, name, _ := strings.Cut(in.Repository, "/")
	if !fullName.MatchString(in.Repository) || name == "." || name == ".." {
		return nil, starred{}, errors.New("repository is not a name: give owner/name, such as octocat/hello-world")
	}
	_, err := g.do(ctx, http.MethodPut, "/user/starred/"+in.Repository, nil, nil)
	return nil, starred{in.Repository, err == nil}, err
}
