package browser

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
)

const (
	// openTime is how long the program that opens the browser is waited for, and fileTime how
	// long the file is there for a browser that is slow to start.
	openTime = 15 * time.Second
	fileTime = time.Minute
)

// ErrNoBrowser says that this machine has no program that opens a browser, or it has said that it
// cannot.
var ErrNoBrowser = errors.New("no browser can be opened on this machine")

// Open opens a link in the person's browser. The link does not become an argument of a
// program, which everybody on this machine could read: the browser is given a file that
// the person alone can read, and that sends it on. The file is removed when ctx ends, and after
// a minute: ctx is that of the sign-in, not of the call that begins it.
//
// It blocks until the program that opens browsers has ended, or has run for three seconds, and
// for fifteen seconds at most. That a browser shows anything cannot be known; nil says that
// nobody objected. Nothing is read from this program's standard input or written to its output,
// which may be those of a protocol, and what it starts outlives it.
//
// On Linux and the BSDs it uses xdg-open, on macOS open, on Windows what files of its kind are
// opened with. Browsers that are snaps cannot read the folder for temporary files, nor what is
// hidden: where snapd is installed the file is made in the home directory.
//
// Errors: ErrNoBrowser; what kept the file from being written; that of ctx.
func Open(ctx context.Context, link string) error {
	s := system{os: runtime.GOOS, home: os.UserHomeDir, temp: os.TempDir(), lookPath: exec.LookPath, run: run, isThere: isThere}
	return s.open(ctx, link)
}

// system is what a browser is opened with.
type system struct {
	os       string
	home     func() (string, error)
	temp     string
	lookPath func(string) (string, error)
	run      func(ctx context.Context, name string, args ...string) error
	isThere  func(path string) bool
}

func (s system) open(ctx context.Context, link string) error {
	if u, err := url.Parse(link); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return errors.New("browser: the link is not http or https")
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	name, args := s.command()
	program, err := s.lookPath(name)
	if err != nil {
		return fmt.Errorf("browser: %w: %s is not installed", ErrNoBrowser, name)
	}
	file, err := s.write(link)
	if err != nil {
		return fmt.Errorf("browser: %w", err)
	}
	remove := sync.OnceFunc(func() { _ = os.Remove(file) }) // it is ours, and may be gone
	timer := time.AfterFunc(fileTime, remove)
	context.AfterFunc(ctx, func() {
		timer.Stop()
		remove()
	})
	running, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	if err := s.run(running, program, append(args, s.argument(file))...); err != nil {
		remove()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("browser: %w: %s failed: %w", ErrNoBrowser, name, err)
	}
	return nil
}

// command is the program that opens a file, with what stands before its name.
func (s system) command() (string, []string) {
	switch s.os {
	case "darwin":
		return "open", nil
	case "windows":
		return "rundll32", []string{"url.dll,FileProtocolHandler"}
	}
	return "xdg-open", nil
}

// argument is the file as the program takes it: on Windows as a URL, which has no blanks, since
// the program that takes it is told one line and not a list.
func (s system) argument(file string) string {
	if s.os != "windows" {
		return file
	}
	u := url.URL{Scheme: "file", Path: "/" + strings.TrimLeft(filepath.ToSlash(file), "/")}
	return u.String()
}

var page = template.Must(template.New("").Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0; url={{.}}">
<title>Sign-in</title>
</head>
<body><p><a href="{{.}}" rel="noreferrer">Go on to the sign-in</a></p></body>
</html>
`))

// write writes the file, which nobody else can read or replace.
func (s system) write(link string) (string, error) {
	file, err := os.CreateTemp(s.folder(), "sign-in-*.html") // with mode 0600
	if err != nil {
		return "", err
	}
	err = errors.Join(page.Execute(file, template.URL(link)), file.Close()) //nolint:gosec // the scheme has been looked at
	if err != nil {
		_ = os.Remove(file.Name()) // why it failed is what counts
		return "", err
	}
	return filepath.Abs(file.Name())
}

// folder is where the browser can read the file.
func (s system) folder() string {
	if s.os == "linux" && (s.isThere("/snap/bin") || s.isThere("/var/lib/snapd/snap/bin")) {
		if home, err := s.home(); err == nil && !strings.Contains(home, "/.") && s.isThere(home) {
			return home
		}
	}
	return s.temp
}

func isThere(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
