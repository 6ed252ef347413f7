package connect_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// looks are what a page is held against: a desk by day, a phone at night, and the narrowest that WCAG 2.2 has pages fit
// into (1.4.10, reflow).
var looks = []struct {
	name   string
	width  int64
	scheme string
}{{"wide", 1000, "light"}, {"phone", 360, "dark"}, {"narrow", 320, "light"}}

// wasRead has the names of the pages that were held against axe-core.
var wasRead struct {
	sync.Mutex
	names []string
}

// reads holds the page that is open against axe-core's rules, in all looks. None may be wider than its window. name is
// that of the page, and perhaps more, for its picture.
func (b *browser) reads(name string) {
	b.t.Helper()
	at := b.seesBut()
	wasRead.Lock()
	wasRead.names = append(wasRead.names, at.Name)
	wasRead.Unlock()
	if at.Name != name && !strings.HasPrefix(name, at.Name+"-") {
		b.t.Fatalf("the browser shows %q, want %q", at.Name, name)
	}
	limited, done := context.WithTimeout(b.tab, enough)
	defer done()
	check := func(err error) {
		b.t.Helper()
		if err != nil {
			b.t.Fatalf("page %q: %v", name, err)
		}
	}
	for _, look := range looks {
		check(chromedp.Do(limited, chromedp.EmulateViewport(look.width, 740)))
		_, err := chromedp.Call(limited, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: look.scheme}}})
		check(err)
		type violation struct{ ID, Help, HTML string }
		found := must[[]violation](b, axe+`;axe.run({resultTypes: ['violations']}).then((r) => r.violations.map((v) => ({ID: v.id, Help: v.help, HTML: v.nodes.map((n) => n.html).join(' ')})))`, chromedp.EvalAwaitPromise)
		for _, v := range found {
			b.t.Errorf("page %q, %s at %d px: %s: %s: %s", name, look.scheme, look.width, v.ID, v.Help, v.HTML)
		}
		if wide := must[int64](b, "document.documentElement.scrollWidth"); wide > look.width {
			b.t.Errorf("page %q is %d px wide at %d", name, wide, look.width)
		}
		if dir := os.Getenv("LAZYAUTH_SCREENSHOTS"); dir != "" {
			picture, err := chromedp.Run(limited, chromedp.FullScreenshot(100))
			check(err)
			check(os.WriteFile(filepath.Join(dir, name+"-"+look.name+".png"), picture, 0o600))
		}
	}
	check(chromedp.Do(limited, chromedp.ResetViewport()))
}

// everyPageWasRead says which pages the library has that no test has held against axe-core.
func everyPageWasRead() error {
	files, err := filepath.Glob(filepath.Join("..", "..", "lazyauth", "internal", "connect", "*.html"))
	if err != nil {
		return err
	}
	var missing []string
	known := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		for _, found := range regexp.MustCompile(`data-page="([^"]*)"`).FindAllStringSubmatch(string(text), -1) {
			if known++; !slices.Contains(wasRead.names, found[1]) {
				missing = append(missing, found[1])
			}
		}
	}
	if len(missing) > 0 || known < 20 {
		return fmt.Errorf("of %d pages no test has read %q", known, missing)
	}
	return nil
}
