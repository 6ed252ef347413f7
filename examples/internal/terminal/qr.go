package terminal

import (
	"fmt"
	"strings"

	"rsc.io/qr"
)

// quiet is how many light modules surround a QR code (ISO/IEC 18004 §6.3.8).
const quiet = 4

// Fixed entries of the 256 colours, which no theme changes: black on white, which every
// reader knows. The other way round, some do not.
const (
	inked = "\x1b[38;5;16;48;5;231m"
	plain = "\x1b[0m"
)

// QR shows text as a QR code, of half blocks, so that a line has two rows of modules. It
// writes nothing and reports false on plain output, and if the code is wider than the
// terminal. Without colours it assumes light letters on a dark ground.
func (t *Terminal) QR(text string) bool {
	code, err := qr.Encode(text, qr.L) // a screen is neither dirty nor torn
	if err != nil || !t.Interactive || code.Size+2*quiet > Width {
		return false
	}
	// What stands for light or dark above light or dark.
	blocks, begin, end := map[[2]bool]string{{false, false}: "█", {false, true}: "▀", {true, false}: "▄", {true, true}: " "}, "", ""
	if t.Colour {
		blocks, begin, end = map[[2]bool]string{{false, false}: " ", {false, true}: "▄", {true, false}: "▀", {true, true}: "█"}, inked, plain
	}
	for y := -quiet; y < code.Size+quiet; y += 2 {
		var line strings.Builder
		for x := -quiet; x < code.Size+quiet; x++ {
			line.WriteString(blocks[[2]bool{code.Black(x, y), code.Black(x, y+1)}])
		}
		fmt.Fprintf(t, "%s%s%s\n", begin, line.String(), end)
	}
	return true
}
