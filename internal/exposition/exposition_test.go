package exposition_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/internal/exposition"
)

// What is written is lines as the format has them, whatever the texts are.
func TestText(t *testing.T) {
	var text exposition.Text
	text.Add("notes_read_total", "counter", "How often.", exposition.Sample{Is: 3})
	text.Add("notes_wait_seconds", "summary", `A \ and`+"\na line.",
		exposition.Sample{Suffix: "_sum", Is: 1.25}, exposition.Sample{Suffix: "_count", Is: 1 << 60})
	text.Add("notes_by", "gauge", "", exposition.Sample{Label: "by", Value: "a\"b\\c\nd\xff", Is: -1})
	var b strings.Builder
	if n, err := text.WriteTo(&b); err != nil || n != int64(b.Len()) {
		t.Errorf("%d, %v", n, err)
	}
	want := `# HELP notes_read_total How often.
# TYPE notes_read_total counter
notes_read_total 3
# HELP notes_wait_seconds A \\ and\na line.
# TYPE notes_wait_seconds summary
notes_wait_seconds_sum 1.25
notes_wait_seconds_count 1.152921504606847e+18
# HELP notes_by 
# TYPE notes_by gauge
notes_by{by="a\"b\\c\nd` + "\uFFFD" + `"} -1
`
	if b.String() != want {
		t.Errorf("%s", b.String())
	}
}

// Whatever a label's value is, it stays in its line, and between its quotes.
func FuzzText(f *testing.F) {
	f.Add("plain", "url")
	f.Add("\\", "\"} 1\nother 2")
	line := regexp.MustCompile(`^# HELP a .*\n# TYPE a counter\na\{b="([^"\\\n]|\\[\\n"])*"\} 1\n$`)
	f.Fuzz(func(t *testing.T, help, value string) {
		var text exposition.Text
		text.Add("a", "counter", help, exposition.Sample{Label: "b", Value: value, Is: 1})
		var b strings.Builder
		if _, err := text.WriteTo(&b); err != nil || !line.MatchString(b.String()) {
			t.Errorf("%q, %v", b.String(), err)
		}
	})
}
