package agents

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// A terminal is that of a program which draws on one: tmux, with somebody before
// it who answers dialogs.
type terminal struct {
	dialogs []dialog
	quit    []string // the keys that end the program
}

// A dialog is answered once for as long as it stands on the screen.
type dialog struct {
	shows *regexp.Regexp
	keys  []string
	after time.Duration // it stood there
	once  bool
}

// see is a dialog of the program's own, and read one with a prompt, for which a
// person takes longer.
func see(shows string, keys ...string) dialog {
	return dialog{regexp.MustCompile(shows), keys, 500 * time.Millisecond, false}
}

// first is what is typed once, when the program is ready.
func first(shows string, after time.Duration, keys ...string) dialog {
	return dialog{regexp.MustCompile(shows), keys, after, true}
}

func read(shows string, keys ...string) dialog {
	return dialog{regexp.MustCompile(shows), keys, 1500 * time.Millisecond, false}
}

const (
	glance  = 200 * time.Millisecond // how often the screen is looked at
	settles = 4 * time.Second        // after the model's last words all is on the screen
	last    = "FINAL ANSWER"         // how they begin
)

// LastWords are what a script says when all is done.
func LastWords(result string) string { return last + ": the tool said: " + result }

var errEnded = errors.New("the program ended by itself")

// run runs the program until the model has said its last words, and then has the
// person quit it.
func (t *terminal) run(ctx context.Context, s *Session, l launch) error {
	w := &window{session: s, launch: l}
	begin := append([]string{"new-session", "-d", "-s", "agent", "-x", "150", "-y", "50"}, l.command...)
	if out, err := w.tmux(ctx, begin...); err != nil {
		return fmt.Errorf("tmux: %w: %s", err, out)
	}
	defer func() { _, _ = w.tmux(context.WithoutCancel(ctx), "kill-server") }() // it may have ended with the program
	stood, pressed := make([]time.Time, len(t.dialogs)), make([]bool, len(t.dialogs))
	done, overdue := s.Done, (<-chan time.Time)(nil)
	look := time.NewTicker(glance)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-done:
			done, overdue = nil, time.After(settles)
		case <-overdue:
			return t.leave(ctx, w)
		case <-look.C:
			screen, err := w.look(ctx)
			if err != nil {
				return err
			}
			if overdue != nil && strings.Contains(screen, last) {
				return t.leave(ctx, w)
			}
			for i, d := range t.dialogs {
				switch now := time.Now(); {
				case pressed[i] && d.once:
				case !d.shows.MatchString(screen):
					stood[i], pressed[i] = time.Time{}, false
				case stood[i].IsZero():
					stood[i] = now
				case !pressed[i] && now.Sub(stood[i]) >= d.after:
					pressed[i] = true
					w.press(ctx, d.keys...)
				}
			}
		}
	}
}

// leave quits the program. One that does not listen has its terminal closed.
func (t *terminal) leave(ctx context.Context, w *window) error {
	for range 2 {
		w.press(ctx, t.quit...)
		for range 25 { // five seconds
			time.Sleep(glance) // a program draws while it ends
			if _, err := w.look(ctx); err != nil {
				return nil //nolint:nilerr // that it has ended is what was wanted
			}
		}
	}
	return nil
}

// A window is what tmux shows of a program.
type window struct {
	session *Session
	launch  launch
	before  string
}

func (w *window) tmux(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "tmux", append([]string{"-S", filepath.Join(w.session.dir, "tmux"), "-f", os.DevNull}, args...)...) //nolint:gosec // our own
	cmd.Dir, cmd.Env = w.session.work, append(w.session.environment(), w.launch.environment...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// look returns what is on the screen, and keeps it if it is new.
func (w *window) look(ctx context.Context) (string, error) {
	screen, err := w.tmux(ctx, "capture-pane", "-p", "-t", "agent")
	if err != nil {
		return "", errEnded
	}
	if screen != w.before {
		w.before = screen
		w.session.keep(screen)
	}
	return screen, nil
}

// keep adds what is on the screen to the record of the screens.
func (s *Session) keep(screen string) {
	f, err := os.OpenFile(s.screens(), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return // it is for people who look for what went wrong
	}
	fmt.Fprintf(f, "---- %s\n%s\n", time.Now().Format(time.TimeOnly), strings.TrimRight(screen, " \n"))
	_ = f.Close()
}

// press presses keys one after the other, as fast as a person.
func (w *window) press(ctx context.Context, keys ...string) {
	for _, key := range keys {
		if _, err := w.tmux(ctx, "send-keys", "-t", "agent", key); err != nil {
			return // the program has ended, which the next look tells
		}
		time.Sleep(300 * time.Millisecond) // programs take keys that come at once for pasted text
	}
}
