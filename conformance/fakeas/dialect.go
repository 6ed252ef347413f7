package fakeas

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Answer is what an endpoint is about to answer, in the hands of
// [Options.Dialect]. The pages have none.
type Answer struct {
	Operation Operation
	Status    int
	Header    http.Header
	Members   map[string]any // of the JSON object; OAuth errors have "error"
	Form      bool           // encode as application/x-www-form-urlencoded

	// Accepted are, of an answer of the notes API, the scopes any one of which
	// suffices, and Held those of the request's token; nil if there is no valid
	// token. They must not be changed.
	Accepted, Held []string

	// Interval is, with slow_down, what the client must wait from now on.
	// It is sent only if a member says so.
	Interval time.Duration
}

// CommaScopes is a dialect that joins the scopes of a token answer with
// commas, as GitHub does.
func CommaScopes(_ *http.Request, a *Answer) {
	if scope, ok := a.Members["scope"].(string); ok {
		a.Members["scope"] = strings.ReplaceAll(scope, " ", ",")
	}
}

// ErrorsUnder200 is a dialect that sends the OAuth errors of the
// authorization server, though not those of the API, with status 200.
func ErrorsUnder200(_ *http.Request, a *Answer) {
	switch a.Operation {
	case DeviceAuthorization, Poll, Exchange, Refresh, OtherTokenRequest:
		if a.Members["error"] != nil {
			a.Status = http.StatusOK
		}
	}
}

// FormUnlessJSON is a dialect that answers form-encoded unless the request's
// Accept header names application/json.
func FormUnlessJSON(r *http.Request, a *Answer) {
	switch a.Operation {
	case DeviceAuthorization, Poll, Exchange, Refresh, OtherTokenRequest:
		a.Form = !strings.Contains(r.Header.Get("Accept"), "application/json")
	}
}

// encode returns the body of an answer and sets its content type.
func (a *Answer) encode() []byte {
	if a.Form {
		form := url.Values{}
		for name, value := range a.Members {
			form.Set(name, fmt.Sprint(value))
		}
		a.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
		return []byte(form.Encode())
	}
	a.Header.Set("Content-Type", "application/json")
	body, err := json.Marshal(a.Members)
	if err != nil {
		panic("fakeas: Options.Dialect made an answer that is no JSON: " + err.Error())
	}
	return body
}
