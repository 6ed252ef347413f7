package main

import (
	"io"
	"os"
	"strconv"
)

// terminal reports whether somebody watches what is written to w.
func terminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// colours follows https://no-color.org.
func colours() bool { return os.Getenv("NO_COLOR") == "" }

// width is that of the terminal as far as shells tell it, and never so wide
// that text is hard to read.
func width() int {
	columns, err := strconv.Atoi(os.Getenv("COLUMNS"))
	if err != nil || columns < 40 {
		return 80
	}
	return min(columns, 100)
}
