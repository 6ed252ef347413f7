package browser_test

import (
	"context"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/redirect/browser"
)

const link = "http://127.0.0.1:40001/start/nonce-0123?a=b&c='\"<x>"

// The link is in a file that the person alone can read, and not among the arguments.
func TestOpen(t *testing.T) {
	for system, want := range map[string]string{
		"linux": "xdg-open", "freebsd": "xdg-open", "darwin": "open", "windows": "rundll32 url.dll,FileProtocolHandler",
	} {
		synctest.Test(t, func(t *testing.T) {
			s := browser.System{OS: system, Home: t.TempDir(), Temp: filepath.Join(t.TempDir(), "a b")}
			if err := os.Mkdir(s.Temp, 0o700); err != nil {
				t.Fatal(err)
			}
			ctx, end := context.WithCancel(t.Context())
			var file string
			s.Run = func(_ context.Context, name string, args ...string) error {
				if got := strings.Join(append([]string{name}, args[:len(args)-1]...), " "); got != want {
					t.Errorf("on %s: %s, want %s", system, got, want)
				}
				file = args[len(args)-1]
				if system == "windows" {
					u, err := url.Parse(file)
					if err != nil || u.Scheme != "file" || strings.Contains(file, " ") {
						t.Errorf("on Windows: %s", file)
					}
					file = filepath.FromSlash(u.Path)
				}
				return nil
			}
			if err := s.Open(ctx, link); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(file, "nonce") || filepath.Dir(file) != s.Temp || !filepath.IsAbs(file) {
				t.Errorf("the file is %s", file)
			}
			info, err := os.Stat(file)
			if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
			text, err := os.ReadFile(file)
			if err != nil || !strings.Contains(string(text), `content="0; url=http://127.0.0.1:40001/start/nonce-0123?a=b&amp;c=`) || strings.Contains(string(text), "<x>") {
				t.Errorf("%v, the file holds\n%s", err, text)
			}
			end()
			synctest.Wait()
			if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the file is still there: %v", err)
			}
		})
	}
}

// A browser that is slow to start has a minute for the file.
func TestOpen_FileGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := browser.System{OS: "linux", Temp: t.TempDir(), Run: func(context.Context, string, ...string) error { return nil }}
		ctx, end := context.WithCancel(t.Context())
		defer end()
		if err := s.Open(ctx, link); err != nil {
			t.Fatal(err)
		}
		left := func() int { files, _ := os.ReadDir(s.Temp); return len(files) }
		time.Sleep(59 * time.Second)
		if left() != 1 {
			t.Error("gone before the minute is over")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if left() != 0 {
			t.Error("there after a minute")
		}
	})
}

// Browsers that are snaps see the home directory alone, and nothing hidden in it.
func TestOpen_Snap(t *testing.T) {
	for _, test := range []struct{ system, home, want string }{
		{"linux", "plain", "home"}, {"linux", ".hidden", "temp"}, {"darwin", "plain", "temp"},
	} {
		home := filepath.Join(t.TempDir(), test.home)
		if err := os.Mkdir(home, 0o700); err != nil {
			t.Fatal(err)
		}
		s := browser.System{OS: test.system, Home: home, Temp: t.TempDir(), Snap: true}
		s.Run = func(_ context.Context, _ string, args ...string) error {
			if want := map[string]string{"home": s.Home, "temp": s.Temp}[test.want]; filepath.Dir(args[len(args)-1]) != want {
				t.Errorf("%+v: %v", test, args)
			}
			return nil
		}
		if err := s.Open(t.Context(), link); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOpen_Fails(t *testing.T) {
	refuse := func(context.Context, string, ...string) error { return errors.New("exit status 3") }
	s := browser.System{OS: "linux", Temp: t.TempDir(), Run: refuse}
	if err := s.Open(t.Context(), link); !errors.Is(err, browser.ErrNoBrowser) || strings.Contains(err.Error(), "nonce") {
		t.Errorf("refused: %v", err)
	}
	s.Missing = true
	if err := s.Open(t.Context(), link); !errors.Is(err, browser.ErrNoBrowser) {
		t.Errorf("not installed: %v", err)
	}
	s.Missing = false
	for _, bad := range []string{"", "file:///etc/passwd", "javascript:alert(1)", "-flag", "http:///x", "ftp://a/"} {
		if err := s.Open(t.Context(), bad); err == nil || errors.Is(err, browser.ErrNoBrowser) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Open(ctx, link); !errors.Is(err, context.Canceled) {
		t.Errorf("ended: %v", err)
	}
	if files, _ := os.ReadDir(s.Temp); len(files) != 0 {
		t.Errorf("left behind: %v", files)
	}
	s.Temp = filepath.Join(s.Temp, "missing")
	if err := s.Open(t.Context(), link); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
}
