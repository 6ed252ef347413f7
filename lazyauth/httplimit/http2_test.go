package httplimit_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/httplimit"
)

// Over HTTP/2 a limit for writing ends a stream even while nothing is written: a call that has
// told its host something, and then waits for a person for longer, goes on.
func TestByAddress_WaitsBetweenWritesOverHTTP2(t *testing.T) {
	t.Parallel()
	const short = time.Second
	web := httptest.NewUnstartedServer(httplimit.New(&httplimit.Limits{ReadTimeout: short, WriteTimeout: short}).ByAddress(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(w, "asked, ")
			_ = http.NewResponseController(w).Flush()
			time.Sleep(2 * short)
			_, _ = io.WriteString(w, "answered")
		})))
	web.EnableHTTP2 = true
	web.StartTLS()
	defer web.Close()
	res, err := web.Client().Post(web.URL, "text/plain", strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if res.ProtoMajor != 2 || err != nil || string(got) != "asked, answered" {
		t.Errorf("%s: %q, %v", res.Proto, got, err)
	}
}
