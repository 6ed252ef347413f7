package httplimit_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/httplimit"
)

// A caller who does not read what they asked for, and one who does not send what they
// announced, are given up; a call that waits without a byte is not.
func TestByAddress_SlowCallers(t *testing.T) {
	t.Parallel()
	const short = time.Second
	ended := make(chan error, 1)
	web := httptest.NewServer(httplimit.New(&httplimit.Limits{ReadTimeout: short, WriteTimeout: short}).ByAddress(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/much":
				text := strings.Repeat("x", 1<<20)
				var err error
				for n := 0; n < 1000 && err == nil; n++ {
					_, err = io.WriteString(w, text)
				}
				ended <- err
			case "/body":
				_, err := io.Copy(io.Discard, r.Body)
				ended <- err
			case "/waits":
				_, _ = io.Copy(io.Discard, r.Body)
				time.Sleep(2 * short)
				_, _ = io.WriteString(w, "done")
			case "/stream":
				w.WriteHeader(http.StatusOK)
				_ = http.NewResponseController(w).Flush()
				time.Sleep(2 * short) // and is done without another word
			}
		})))
	defer web.Close()
	for name, text := range map[string]string{
		"reads nothing": "GET /much HTTP/1.1\r\nHost: x\r\n\r\n",
		"sends nothing": "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx",
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", web.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, text); err != nil {
				t.Fatal(err)
			}
			select {
			case err := <-ended:
				if err == nil {
					t.Error("it is served")
				}
			case <-time.After(time.Minute):
				t.Error("it is waited for")
			}
		})
	}
	for path, want := range map[string]string{"/waits": "done", "/stream": ""} {
		res, err := http.Post(web.URL+path, "text/plain", strings.NewReader("body"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(bufio.NewReader(res.Body))
		if err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", path, got, err)
		}
		_ = res.Body.Close()
	}
}
