package demo

import (
	"fmt"
	"io"
	"net/url"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
)

// width is how many columns a line has, at most.
const width = 76

// A Screen is where the story is told. On a terminal the time left ticks and
// what matters is bold; anywhere else it is plain text. Its methods may be
// called concurrently.
type Screen struct {
	terminal bool

	mu   sync.Mutex
	w    io.Writer
	stop func() // ends the countdown; nil while there is none
}

// NewScreen returns a screen that writes to w.
func NewScreen(w io.Writer) *Screen {
	s := &Screen{w: w}
	if file, ok := w.(*os.File); ok {
		info, err := file.Stat()
		s.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return s
}

// Title begins a step of the story.
func (s *Screen) Title(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.w, "\n%s\n", s.bold(text))
}

// Line prints one line of a step.
func (s *Screen) Line(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.w, "   "+format+"\n", args...)
}

// prompt shows what the server asks for: its words, what the host adds so that
// its user need not trust them (the domain and the whole URL), and what to do
// next. A host knows only in words how long the code lives; this one asks the
// authorization server. On a terminal the time left ticks until [Screen.settle].
func (s *Screen) prompt(message string, page *url.URL, request fakeas.Request, next string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintln(s.w)
	for _, line := range wrap(message, width-6) {
		fmt.Fprintf(s.w, "      %s\n", line)
	}
	fmt.Fprintf(s.w, "\n      domain  %s\n", page.Host)
	fmt.Fprintf(s.w, "      open    %s\n", s.bold(page.String()))
	fmt.Fprintf(s.w, "      code    %s\n", s.bold(request.UserCode))
	fmt.Fprintf(s.w, "\n   %s\n", next)
	if !s.terminal {
		fmt.Fprintf(s.w, "   time left %s\n\n", left(request.Expires))
		return
	}
	ending, ended := make(chan struct{}), make(chan struct{})
	s.stop = func() { close(ending); <-ended }
	go func() {
		defer close(ended)
		countDown(s.w, request.Expires, ending)
	}()
}

// countDown rewrites one line every second until ending is closed.
func countDown(w io.Writer, expires time.Time, ending <-chan struct{}) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		fmt.Fprintf(w, "\r   time left %-5s ", left(expires))
		select {
		case <-tick.C:
		case <-ending:
			fmt.Fprintf(w, "\r%s\r\n", strings.Repeat(" ", width))
			return
		}
	}
}

// settle ends the countdown, if there is one.
func (s *Screen) settle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stop != nil {
		s.stop()
		s.stop = nil
	}
}

// bold marks text on a terminal, unless its user wants none of that
// (no-color.org) or it may not know how: older ones on Windows print the codes.
func (s *Screen) bold(text string) string {
	if !s.terminal || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" || runtime.GOOS == "windows" {
		return text
	}
	return "\x1b[1m" + text + "\x1b[0m"
}

// left formats the time until t, such as 9:58.
func left(t time.Time) string {
	seconds := max(0, int(time.Until(t).Seconds()))
	return fmt.Sprintf("%d:%02d", seconds/60, seconds%60)
}

// wrap breaks text into lines of at most n columns, where words allow it.
func wrap(text string, n int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case len(line)+1+len(word) > n:
			lines, line = append(lines, line), word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}
