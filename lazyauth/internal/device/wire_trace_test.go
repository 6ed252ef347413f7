package device_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// What is no HTTP is quoted by net/http in its error: an answer that lost its head, or the
// line between that and the body, is all token.
func TestDetail_OfWhatIsNoHTTP(t *testing.T) {
	const body = `{"access_token":"at.secret","refresh_token":"rt.secret","token_type":"Bearer"}`
	for _, raw := range []string{
		body + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + body + "\r\n\r\n",
		"HTTP/1.1 " + body + "\r\n\r\n",
		"eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9\r\n\r\n",
	} {
		transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			here, there := net.Pipe()
			go func() {
				defer there.Close()
				if req, err := http.ReadRequest(bufio.NewReader(there)); err == nil {
					_ = req.ParseForm()
					fmt.Fprint(there, raw)
				}
			}()
			return here, nil
		}}
		c, err := device.New(device.Config{
			Endpoints: device.Endpoints{DeviceAuthorization: "http://127.0.0.1/d", Token: "http://127.0.0.1/t"}, ClientID: "c", Transport: transport,
		})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Refresh(t.Context(), "old", scopes.Of("a"))
		failed, ok := errors.AsType[*device.Error](err)
		if !ok || !strings.Contains(failed.Detail, "malformed") {
			t.Fatalf("%q: %v", raw, err)
		}
		if said := failed.Error() + failed.Detail; strings.Contains(said, "at.secret") || strings.Contains(said, "rt.secret") || strings.Contains(said, "eyJhb") {
			t.Errorf("%q: a token is told: %s", raw, said)
		}
	}
}
