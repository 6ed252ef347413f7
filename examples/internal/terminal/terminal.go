// Package terminal shows a person at a terminal what they need for a sign-in: a QR
// code, and the time that is left. Where nobody sits at a terminal it writes plain
// lines.
package terminal

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"
)

// Width is how many columns a terminal is taken to have.
const Width = 80

// A Terminal is where a person reads. It is for one goroutine at a time.
type Terminal struct {
	io.Writer
	// Interactive is whether a line may be written anew in its place. Otherwise what
	// is written goes to a file, a pipe or a log.
	Interactive bool
	// Colour is whether escape sequences for colours are understood and wanted.
	Colour bool
}

// New returns the terminal behind w, or plain output if that is none. It goes by the
// environment variables TERM and NO_COLOR (no-color.org).
func New(w io.Writer, getenv func(string) string) *Terminal {
	t := &Terminal{Writer: w}
	if file, ok := w.(*os.File); ok {
		info, err := file.Stat()
		t.Interactive = err == nil && info.Mode()&os.ModeCharDevice != 0 && getenv("TERM") != "dumb"
	}
	// Older consoles of Windows print the sequences.
	t.Colour = t.Interactive && getenv("NO_COLOR") == "" && getenv("TERM") != "" && runtime.GOOS != "windows"
	return t
}

// Bold marks text, where that is understood and wanted.
func (t *Terminal) Bold(text string) string {
	if !t.Colour {
		return text
	}
	return "\x1b[1m" + text + plain
}

// CountDown shows the time until end, and a note beside it, and counts down until stop
// is called, which takes the line away. On plain output it writes one line for good.
// The caller must call stop, and write nothing before.
func (t *Terminal) CountDown(end time.Time, note string) (stop func()) {
	if !t.Interactive {
		fmt.Fprintf(t, "   Time left %s, until %s\n", left(end), end.Local().Format("15:04:05"))
		return func() {}
	}
	ending, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			line := fmt.Sprintf("   Time left %-5s   %s", left(end), note)
			fmt.Fprint(t, "\r", line)
			select {
			case <-tick.C:
			case <-ending:
				// Two more for the ^C that the terminal writes when it is pressed.
				fmt.Fprintf(t, "\r%*s\r", len(line)+2, "")
				return
			}
		}
	}()
	return func() { close(ending); <-ended }
}

// left formats the time until t, such as 9:58.
func left(t time.Time) string {
	seconds := max(0, int(time.Until(t).Seconds()))
	return fmt.Sprintf("%d:%02d", seconds/60, seconds%60)
}

// Wrap breaks text between words into lines that fit, and indents all but the first by
// this many columns, which the first is taken to have already. A word that is too long
// stays whole.
func Wrap(text string, indent int) string {
	var b strings.Builder
	column := indent
	for word := range strings.FieldsSeq(text) {
		switch n := len([]rune(word)); {
		case column == indent:
			column += n
		case column+1+n >= Width:
			fmt.Fprintf(&b, "\n%*s", indent, "")
			column = indent + n
		default:
			b.WriteByte(' ')
			column += 1 + n
		}
		b.WriteString(word)
	}
	return b.String()
}
