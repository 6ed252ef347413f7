package record

import (
	"encoding/json"
	"io"
	"os"
	"strings"
)

// A File reads a recording that grows. Its zero value begins at the beginning.
type File struct {
	offset int64
	rest   string
}

// More returns the lines that have come since. A file that is not there yet has
// none.
func (f *File) More(name string) (lines []Line) {
	file, err := os.Open(name) //nolint:gosec // a recording of our own
	if err != nil {
		return nil
	}
	defer func() { _ = file.Close() }()
	raw, err := io.ReadAll(io.NewSectionReader(file, f.offset, 1<<40))
	if err != nil {
		return nil
	}
	f.offset += int64(len(raw))
	whole := strings.Split(f.rest+string(raw), "\n")
	f.rest = whole[len(whole)-1]
	for _, text := range whole[:len(whole)-1] {
		var l Line
		if json.Unmarshal([]byte(text), &l) == nil {
			lines = append(lines, l)
		}
	}
	return lines
}
