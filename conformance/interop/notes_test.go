package interop_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// A notesAPI is the API that the tools call: bearer tokens (RFC 6750), checked
// with the authorization server by introspection (RFC 7662), so that what works
// here is what the server really granted.
type notesAPI struct {
	*httptest.Server
	introspection string

	mu      sync.Mutex
	notes   map[string][]string // by who wrote them
	bearers map[string]bool     // the tokens that were good for something
}

type note struct {
	ID   int    `json:"id"`
	Text string `json:"text"`
}

// startNotes starts the API. The caller must call Close.
func startNotes(as *provider) *notesAPI {
	api := &notesAPI{introspection: as.Introspection, notes: map[string][]string{}, bearers: map[string]bool{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /me", api.asking("profile", api.me))
	mux.HandleFunc("GET /notes", api.asking("notes:read", api.list))
	mux.HandleFunc("POST /notes", api.asking("notes:write", api.create))
	api.Server = httptest.NewServer(mux)
	return api
}

// asking serves a request whose token has a scope, and challenges any other
// (RFC 6750 §3).
func (api *notesAPI) asking(scope string, serve func(w http.ResponseWriter, r *http.Request, who string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok {
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="notes", scope=%q`, scope))
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		who, scopes, err := api.introspect(r.Context(), token)
		switch {
		case err != nil:
			http.Error(w, "the authorization server cannot be asked", http.StatusBadGateway)
		case who == "":
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="notes", error="invalid_token", scope=%q`, scope))
			http.Error(w, "this token is no good", http.StatusUnauthorized)
		case !slices.Contains(scopes, scope):
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="notes", error="insufficient_scope", scope=%q`, scope))
			http.Error(w, "this token is not good enough", http.StatusForbidden)
		default:
			api.mu.Lock()
			api.bearers[token] = true
			api.mu.Unlock()
			w.Header().Set("Content-Type", "application/json")
			serve(w, r, who)
		}
	}
}

// introspect asks the authorization server whose token this is; nobody's is "".
func (api *notesAPI) introspect(ctx context.Context, token string) (who string, scopes []string, err error) {
	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, api.introspection, strings.NewReader(form.Encode()))
	if err != nil {
		return "", nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(apiClient.ID), url.QueryEscape(apiClient.Secret))
	var answer struct {
		Active  bool   `json:"active"`
		Subject string `json:"sub"`
		Scope   string `json:"scope"`
	}
	if err := decode(req, http.StatusOK, &answer); err != nil || !answer.Active {
		return "", nil, err
	}
	return answer.Subject, strings.Fields(answer.Scope), nil
}

func (api *notesAPI) me(w http.ResponseWriter, _ *http.Request, who string) {
	answer(w, map[string]string{"sub": who, "name": who})
}

func (api *notesAPI) list(w http.ResponseWriter, _ *http.Request, who string) {
	api.mu.Lock()
	defer api.mu.Unlock()
	notes := make([]note, 0, len(api.notes[who]))
	for i, text := range api.notes[who] {
		notes = append(notes, note{i + 1, text})
	}
	answer(w, map[string]any{"notes": notes})
}

func (api *notesAPI) create(w http.ResponseWriter, r *http.Request, who string) {
	var in struct{ Text string }
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<16)).Decode(&in); err != nil || in.Text == "" {
		http.Error(w, "a note has a text", http.StatusBadRequest)
		return
	}
	api.mu.Lock()
	defer api.mu.Unlock()
	api.notes[who] = append(api.notes[who], in.Text)
	w.WriteHeader(http.StatusCreated)
	answer(w, note{len(api.notes[who]), in.Text})
}

// written returns the notes that somebody has.
func (api *notesAPI) written(who string) []string {
	api.mu.Lock()
	defer api.mu.Unlock()
	return slices.Clone(api.notes[who])
}

// served reports whether a request with this token was answered.
func (api *notesAPI) served(token string) bool {
	api.mu.Lock()
	defer api.mu.Unlock()
	return api.bearers[token]
}

func answer(w http.ResponseWriter, v any) {
	_ = json.NewEncoder(w).Encode(v) // a caller that hung up is its own business
}
