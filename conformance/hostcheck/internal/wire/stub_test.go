package wire_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
)

// A stub connects to this machine alone, and says so when nobody expects it.
func TestStub_Refuses(t *testing.T) {
	elsewhere := httptest.NewServer(http.NotFoundHandler())
	defer elsewhere.Close()
	for name, control := range map[string]string{
		"another machine":   "http://198.51.100.7:80/x",
		"a name":            "http://example.com/x",
		"another scheme":    "https://127.0.0.1:1/x",
		"no URL":            "::",
		"nobody there":      "http://127.0.0.1:1/x",
		"a server for else": elsewhere.URL + "/x",
	} {
		err := wire.Stub(t.Context(), control, strings.NewReader(""), new(bytes.Buffer))
		if err == nil || !strings.HasPrefix(err.Error(), "hostcheck: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A stub relays both ways, and ends with whoever ends first.
func TestStub_Relays(t *testing.T) {
	for name, serverFirst := range map[string]bool{"the server ends first": true, "the host ends first": false} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			heard := make(chan string, 1)
			go func() {
				c, err := l.Accept()
				if err != nil {
					return
				}
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(2 * time.Minute))
				buf := make([]byte, 4096)
				n, _ := c.Read(buf) // the request
				head := string(buf[:n])
				c.Write([]byte("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: hostcheck-stub\r\n\r\npong\n"))
				if serverFirst {
					n, _ = c.Read(buf)
					heard <- head + "|" + string(buf[:n])
					return
				}
				all, _ := io.ReadAll(c)
				heard <- head + "|" + string(all)
			}()
			stdin, host := net.Pipe()
			defer host.Close()
			go func() {
				host.Write([]byte("ping\n"))
				if !serverFirst {
					host.Close()
				}
			}()
			var stdout bytes.Buffer
			err = wire.Stub(context.Background(), "http://"+l.Addr().String()+"/secret", stdin, &stdout)
			if (err != nil) != serverFirst {
				t.Errorf("it ends with %v", err)
			}
			want := "|ping\n"
			if !serverFirst { // it says that the input ended, which one that is killed does not
				want += "\x00hostcheck: end of input"
			}
			if got := <-heard; !strings.HasPrefix(got, "POST /secret/stub HTTP/1.1\r\n") || !strings.HasSuffix(got, want) {
				t.Errorf("the server heard %q", got)
			}
			if stdout.String() != "pong\n" {
				t.Errorf("the host heard %q", stdout.String())
			}
		})
	}
}
