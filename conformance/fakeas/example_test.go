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
