package wire

import (
	"bufio"
	"errors"
	"strings"
	"testing"
)

func FuzzReadLine(f *testing.F) {
	f.Add("one\ntwo", 10)
	f.Add(strings.Repeat("x", 100), 10)
	f.Fuzz(func(t *testing.T, text string, limit int) {
		limit = max(0, limit%1000)
		in := bufio.NewReaderSize(strings.NewReader(text), 16)
		read := ""
		for {
			line, err := readLine(in, limit)
			if errors.Is(err, errLong) {
				return
			}
			if len(line) > limit {
				t.Fatalf("a line of %d bytes where %d is the limit", len(line), limit)
			}
			read += string(line)
			if err != nil {
				break
			}
		}
		if read != text {
			t.Errorf("read %q of %q", read, text)
		}
	})
}
