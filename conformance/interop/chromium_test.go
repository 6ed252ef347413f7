package interop_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
)

// chromium is one headless Chromium for all tests, started by the first that needs it. What
// people must not share, cookies above all, is in the browser context that each has.
var chromium struct {
	once sync.Once
	ctx  context.Context
	end  func() error
	err  error
}

// chromiumName is Debian's.
const chromiumName = "chromium"

// seats is for how many stories there is room in Chromium at once: it is the browser that keeps two
// processors busy, and the stories' patience is counted from when they begin.
var seats = make(chan struct{}, 4)

// seat waits for one, which the test has until it ends. It is taken once for all people of a story.
func seat(t *testing.T) {
	t.Helper()
	select {
	case seats <- struct{}{}:
		t.Cleanup(func() { <-seats })
	case <-t.Context().Done():
		t.Fatal("Chromium has no room")
	}
}

// hasChromium reports whether there is one.
func hasChromium() error {
	if _, err := exec.LookPath(chromiumName); err != nil {
		return fmt.Errorf("Chromium is needed, in PATH as %s: %w", chromiumName, err)
	}
	return nil
}

// startChromium starts it with a profile in a folder of its own. It reaches this machine and
// nothing else: oidc-provider's pages have a font elsewhere, and Chromium has its maker.
func startChromium() (context.Context, error) {
	c := &chromium
	c.once.Do(func() {
		var dir string
		if dir, c.err = os.MkdirTemp("", "chromium"); c.err != nil {
			return
		}
		ctx, stop := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
			chromedp.ExecPath(chromiumName),
			chromedp.WSURLReadTimeout(patience), // by itself it gives a start 20 s
			chromedp.UserDataDir(filepath.Join(dir, "profile")),
			chromedp.Env("HOME="+dir),
			chromedp.NoSandbox, // Chromium has none for root, and opens nothing here but the tests' own pages
			chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"),
			chromedp.Flag("no-proxy-server", true),
		)...)
		ctx, cancel := chromedp.NewContext(ctx)
		c.ctx = ctx
		c.end = func() error {
			limited, done := context.WithTimeout(ctx, patience)
			defer done()
			err := chromedp.Cancel(limited)
			cancel()
			stop()                // waits until the process is gone
			_ = os.RemoveAll(dir) // in which its children may still write
			return err
		}
		c.err = chromedp.Do(ctx)
	})
	return c.ctx, c.err
}

// endChromium ends it, if it was started.
func endChromium() error {
	if chromium.end == nil {
		return nil
	}
	return chromium.end()
}
