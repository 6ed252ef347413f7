package agents //nolint:testpackage // what is read of a program's output is nobody else's business

import (
	"context"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The address is found also where it comes in pieces, and what is printed after it is
// read and logged, so that the program does not stand still.
func TestWebPage_Address(t *testing.T) {
	p := &webPage{address: regexp.MustCompile(`http://127\.0\.0\.1:\d+\?t=[0-9a-f]{4}`)}
	out, in := io.Pipe()
	logged, log := io.Pipe()
	go func() {
		for _, text := range []string{"up at ht", "tp://127.0.0.1:80?t=", "cafe\n", "more"} {
			_, _ = io.WriteString(in, text)
		}
		in.Close()
	}()
	all := make(chan string, 1)
	go func() {
		raw, _ := io.ReadAll(io.LimitReader(logged, int64(len("up at http://127.0.0.1:80?t=cafe\nmore"))))
		all <- string(raw)
	}()
	address, err := p.wait(t.Context(), &Session{Log: log}, out)
	if err != nil || address != "http://127.0.0.1:80?t=cafe" {
		t.Errorf("the address is %q, %v", address, err)
	}
	if got := <-all; !strings.HasSuffix(got, "cafe\nmore") {
		t.Errorf("logged is %q", got)
	}
}

// A program that prints no address is waited for as long as the session lasts.
func TestWebPage_NoAddress(t *testing.T) {
	ctx, cancel := context.WithTimeoutCause(t.Context(), 10*time.Millisecond, errors.New("no time left"))
	defer cancel()
	p := &webPage{address: regexp.MustCompile(`http`)}
	out, in := io.Pipe()
	defer in.Close()
	if _, err := p.wait(ctx, &Session{Log: io.Discard}, out); err == nil || err.Error() != "no time left" {
		t.Errorf("the error is %v", err)
	}
}
