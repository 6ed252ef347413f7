package connect_test

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/chromedp/chromedp"
)

// chromiumName is Debian's.
const chromiumName = "chromium"

// chromium is one headless Chromium for all stories. What people must not share, cookies above all, is in the browser
// context that each has.
var chromium context.Context

// enough is for anything that has to happen, on a busy machine as well.
const enough = 3 * time.Minute

// startChromium starts it with a profile in a folder of its own. It reaches this machine and nothing else, finds all
// sites there, and takes the one certificate of this run for theirs.
func startChromium(dir string) (browser context.Context, end func() error, err error) {
	if _, err := exec.LookPath(chromiumName); err != nil {
		return nil, nil, fmt.Errorf("Chromium is needed, in PATH as %s: %w", chromiumName, err)
	}
	ctx, stop := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromiumName),
		chromedp.WSURLReadTimeout(enough), // by itself it gives a start 20 s
		chromedp.UserDataDir(filepath.Join(dir, "profile")),
		chromedp.Env("HOME="+dir),
		chromedp.NoSandbox, // Chromium has none for root, and opens nothing here but the tests' own pages
		chromedp.Flag("host-resolver-rules", "MAP *.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"),
		chromedp.Flag("no-proxy-server", true),
		chromedp.Flag("blink-settings", "primaryHoverType=2,availableHoverTypes=2,primaryPointerType=4,availablePointerTypes=4"), // a mouse
		chromedp.Flag("ignore-certificate-errors-spki-list", pinned),
	)...)
	ctx, cancel := chromedp.NewContext(ctx)
	end = func() error {
		limited, done := context.WithTimeout(ctx, enough)
		defer done()
		err := chromedp.Cancel(limited)
		cancel()
		stop() // waits until the process is gone
		return err
	}
	if err := chromedp.Do(ctx); err != nil {
		return nil, nil, errors.Join(err, end())
	}
	return ctx, end, nil
}
