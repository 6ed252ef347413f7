package fakeas_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
)

// Whoever tests another client than lazyauth hands the transport to that. Here
// it is three requests written out.
func Example_wire() {
	as := fakeas.New(nil)
	client := &http.Client{Transport: as.Transport()}
	post := func(op fakeas.Operation, form url.Values) (answer map[string]any) {
		resp, err := client.PostForm(as.URL(op), form)
		if err != nil {
			panic(err)
		}
		defer resp.Body.Close()
		json.NewDecoder(resp.Body).Decode(&answer)
		return answer
	}

	// The client asks for a code and shows it.
	device := post(fakeas.DeviceAuthorization, url.Values{
		"client_id": {fakeas.DefaultClientID}, "scope": {"profile notes:read"},
	})

	// The person approves; fakeas.Visit would do it through the pages.
	request, err := as.WaitForRequest(context.Background())
	fmt.Println("asked for:", request.Scopes, err)
	fmt.Println("approved:", as.Approve(request.UserCode))

	// The client polls, and calls the API.
	token := post(fakeas.Poll, url.Values{
		"client_id": {fakeas.DefaultClientID}, "device_code": {device["device_code"].(string)},
		"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"},
	})
	me, _ := http.NewRequest(http.MethodGet, as.URL(fakeas.Me), nil)
	me.Header.Set("Authorization", "Bearer "+token["access_token"].(string))
	resp, err := client.Do(me)
	fmt.Println("signed in:", resp.Status, err)
	resp.Body.Close()

	// The verdict.
	fmt.Println("tokens:", as.Count(fakeas.Poll, fakeas.OK))
	fmt.Println("violations:", as.Violations())

	// Output:
	// asked for: [profile notes:read] <nil>
	// approved: <nil>
	// signed in: 200 OK <nil>
	// tokens: 1
	// violations: []
}

// The authorization code flow, written out: where the client sends the browser,
// what it makes of where the browser is sent, and a response that is not right.
func Example_redirect() {
	as := fakeas.New(nil)
	ctx := context.Background()
	sent := as.URL(fakeas.Authorization) + "?" + url.Values{
		"response_type": {"code"}, "client_id": {fakeas.DefaultClientID}, "scope": {"profile"},
		"redirect_uri": {"http://127.0.0.1:49152/callback"}, "state": {"xyz"},
		"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"},
	}.Encode()

	// Another server answers in its place: a mix-up (RFC 9207 §1).
	as.Script(fakeas.Response, fakeas.WithIss("https://evil.example"))
	location, err := as.ApproveURL(ctx, sent)
	u, _ := url.Parse(location)
	fmt.Println("to be refused:", u.Query().Get("iss"), err)

	// And then rightly.
	location, err = as.ApproveURL(ctx, sent)
	u, _ = url.Parse(location)
	fmt.Println("sent back:", u.Host, u.Query().Get("state"), u.Query().Get("iss"), err)
	resp, err := (&http.Client{Transport: as.Transport()}).PostForm(as.URL(fakeas.Exchange), url.Values{
		"grant_type": {"authorization_code"}, "client_id": {fakeas.DefaultClientID}, "code": {u.Query().Get("code")},
		"redirect_uri": {"http://127.0.0.1:49152/callback"}, "code_verifier": {"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"},
	})
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	fmt.Println("token:", resp.Status)
	fmt.Println("violations:", as.Violations())

	// Output:
	// to be refused: https://evil.example <nil>
	// sent back: 127.0.0.1:49152 xyz https://as.example.test <nil>
	// token: 200 OK
	// violations: []
}
