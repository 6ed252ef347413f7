package terminal_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/examples/internal/terminal"
	"rsc.io/qr"
)

func environment(values map[string]string) func(string) string {
	return func(name string) string { return values[name] }
}

func TestAFileIsNoTerminal(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	got := terminal.New(file, environment(map[string]string{"TERM": "xterm-256color"}))
	if got.Interactive || got.Colour {
		t.Errorf("interactive: %t, colour: %t", got.Interactive, got.Colour)
	}
}

func TestTheEnvironmentSaysWhatATerminalCan(t *testing.T) {
	device, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0) // a character device, as terminals are
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	if info, err := device.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		t.Skip("the null device is no character device here")
	}
	if os.PathSeparator == '\\' {
		t.Skip("no colours there")
	}
	for _, test := range []struct {
		values              map[string]string
		interactive, colour bool
	}{
		{map[string]string{"TERM": "xterm"}, true, true},
		{map[string]string{"TERM": "xterm", "NO_COLOR": "1"}, true, false},
		{map[string]string{"TERM": "dumb"}, false, false},
		{nil, true, false},
	} {
		got := terminal.New(device, environment(test.values))
		if got.Interactive != test.interactive || got.Colour != test.colour {
			t.Errorf("%v: interactive: %t, colour: %t", test.values, got.Interactive, got.Colour)
		}
	}
}

func TestBold(t *testing.T) {
	for colour, want := range map[bool]string{false: "text", true: "\x1b[1mtext\x1b[0m"} {
		if got := (&terminal.Terminal{Colour: colour}).Bold("text"); got != want {
			t.Errorf("colour %t: %q, want %q", colour, got, want)
		}
	}
}

func TestTheTimeLeftIsCountedInItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		screen := &terminal.Terminal{Writer: &out, Interactive: true}
		stop := screen.CountDown(time.Now().Add(61*time.Second), "(note)")
		time.Sleep(63*time.Second + time.Second/2)
		synctest.Wait()
		written := out.String()
		stop()
		lines := strings.Split(strings.TrimPrefix(written, "\r"), "\r")
		if len(lines) != 64 || strings.Contains(written, "\n") {
			t.Errorf("%d times in 63.5 s, want 64, all in one line: %q", len(lines), written)
		}
		for n, want := range map[int]string{0: "1:01", 1: "1:00", 2: "0:59", 61: "0:00", 63: "0:00"} {
			if !strings.Contains(lines[n], " "+want+" ") || !strings.HasSuffix(lines[n], "(note)") {
				t.Errorf("second %d: %q, want %s", n, lines[n], want)
			}
		}
		rest := strings.TrimPrefix(out.String(), written)
		if strings.ReplaceAll(rest, " ", "") != "\r\r" || len(rest) < len(lines[0])+4 {
			t.Errorf("it ends with %q, which does not clear a line of %d columns and a ^C", rest, len(lines[0]))
		}
	})
}

func TestTheTimeLeftInALog(t *testing.T) {
	var out bytes.Buffer
	end := time.Now().Add(10*time.Minute + time.Second/2)
	(&terminal.Terminal{Writer: &out}).CountDown(end, "note")()
	if want := "   Time left 10:00, until " + end.Local().Format("15:04:05") + "\n"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}

// dark reads a QR code back from what is on the screen.
func dark(t *testing.T, screen string, colour bool) [][]bool {
	t.Helper()
	var rows [][]bool
	for line := range strings.Lines(screen) {
		line = strings.TrimSuffix(line, "\n")
		if colour {
			var begun, ended bool
			line, begun = strings.CutPrefix(line, "\x1b[38;5;16;48;5;231m")
			line, ended = strings.CutSuffix(line, "\x1b[0m")
			if !begun || !ended {
				t.Fatalf("not black on white: %q", line)
			}
		}
		var upper, lower []bool
		for _, block := range line {
			if !strings.ContainsRune(" ▀▄█", block) {
				t.Fatalf("%q is no block", block)
			}
			// Ink is dark on paper, and light on a dark screen.
			upper = append(upper, (block == '▀' || block == '█') == colour)
			lower = append(lower, (block == '▄' || block == '█') == colour)
		}
		rows = append(rows, upper, lower)
	}
	return rows
}

func TestQRCodeReadsBack(t *testing.T) {
	for _, address := range []string{
		"https://github.com/login/device", "http://127.0.0.1:9070/device", "HTTPS://EXAMPLE.COM/DEVICE",
		"https://login.example.com/" + strings.Repeat("a-long-path/", 20),
	} {
		for _, colour := range []bool{true, false} {
			var out bytes.Buffer
			screen := &terminal.Terminal{Writer: &out, Interactive: true, Colour: colour}
			if !screen.QR(address) {
				t.Fatalf("no code of %s", address)
			}
			want, err := qr.Encode(address, qr.L)
			if err != nil {
				t.Fatal(err)
			}
			rows := dark(t, out.String(), colour)
			if n := want.Size + 8; len(rows) != n+n%2 || len(rows[0]) != n || n > terminal.Width {
				t.Fatalf("%d rows of %d, want %d of as many, at most %d", len(rows), len(rows[0]), n, terminal.Width)
			}
			for y, row := range rows {
				for x := range row {
					if row[x] != want.Black(x-4, y-4) {
						t.Fatalf("%s: the module at %d, %d is wrong", address, x, y)
					}
				}
			}
		}
	}
}

func TestNoQRCode(t *testing.T) {
	var out bytes.Buffer
	if (&terminal.Terminal{Writer: &out}).QR("https://example.com") {
		t.Error("in a log")
	}
	wide := "https://example.com/" + strings.Repeat("x", 450)
	if (&terminal.Terminal{Writer: &out, Interactive: true}).QR(wide) {
		t.Error("wider than the terminal")
	}
	if (&terminal.Terminal{Writer: &out, Interactive: true}).QR(strings.Repeat("x", 5000)) {
		t.Error("of what fits into none")
	}
	if out.Len() > 0 {
		t.Errorf("written: %q", out.String())
	}
}

func TestWrap(t *testing.T) {
	words := strings.Repeat("notes:read ", 20)
	wrapped := terminal.Wrap(words, 11)
	if strings.Join(strings.Fields(wrapped), " ") != strings.TrimSpace(words) {
		t.Errorf("other words: %q", wrapped)
	}
	lines := strings.Split(strings.Repeat(" ", 11)+wrapped, "\n")
	for n, line := range lines {
		if len(line) >= terminal.Width || !strings.HasPrefix(line, strings.Repeat(" ", 11)) || line[11] == ' ' {
			t.Errorf("line %d: %q", n, line)
		}
	}
	if len(lines) != 4 { // six in each
		t.Errorf("%d lines", len(lines))
	}
	if long := strings.Repeat("x", 200); terminal.Wrap(long, 3) != long {
		t.Error("a long word does not stay whole")
	}
}
