package demo

import (
	"fmt"
	"io"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/examples/internal/terminal"
)

// A Screen is where the story is told. On a terminal the time left ticks and
// what matters is bold; anywhere else it is plain text. Its methods may be
// called concurrently.
type Screen struct {
	mu   sync.Mutex
	t    *terminal.Terminal
	stop func() // ends the countdown; nil while there is none
}

// NewScreen returns a screen that writes to w.
func NewScreen(w io.Writer) *Screen {
	return &Screen{t: terminal.New(w, os.Getenv)}
}

// Title begins a step of the story.
func (s *Screen) Title(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.t, "\n%s\n", s.t.Bold(text))
}

// Line prints one line of a step.
func (s *Screen) Line(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.t, "   "+format+"\n", args...)
}

// prompt shows what the server asks for: its words, what the host adds so that
// its user need not trust them (the domain and the whole URL), and what to do
// next. A link that comes without a code is long, and stands alone, so that nothing beside it is
// taken for a part of it. On a terminal the time left ticks until [Screen.settle].
func (s *Screen) prompt(message string, page *url.URL, code string, expires time.Time, next string) {
	s.settle()
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.t, "\n      %s\n", terminal.Wrap(message, 6))
	fmt.Fprintf(s.t, "\n      domain  %s\n", page.Host)
	if code == "" {
		fmt.Fprintf(s.t, "      open    this link\n\n%s\n", s.t.Bold(page.String()))
	} else {
		fmt.Fprintf(s.t, "      open    %s\n", s.t.Bold(page.String()))
		fmt.Fprintf(s.t, "      code    %s\n", s.t.Bold(code))
	}
	fmt.Fprintf(s.t, "\n   %s\n", next)
	stop := s.t.CountDown(expires, "Ctrl-C gives up")
	s.stop = func() { stop(); fmt.Fprintln(s.t) }
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
