// Package exposition writes figures in the text format that Prometheus and others read, version 0.0.4
// (https://prometheus.io/docs/instrumenting/exposition_formats, read on 2026-11-27).
package exposition

import (
	"bytes"
	"io"
	"strconv"
	"strings"
)

// ContentType is that of an answer over HTTP.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// A Text is made of metrics, one after the other. The zero value is empty.
type Text struct{ b bytes.Buffer }

// A Sample is one value of a metric. Suffix is what its name has behind that of the metric, "_sum" of a summary;
// Label, if there is one, tells it apart from the metric's other samples by a Value.
type Sample struct {
	Suffix       string
	Label, Value string
	Is           float64
}

// Add adds a metric. The name and the labels are the program's own, and made of letters, digits and underscores; help and values
// may be any text. Kind is "counter", "gauge" or "summary".
func (t *Text) Add(name, kind, help string, samples ...Sample) {
	t.b.WriteString("# HELP " + name + " " + escapeHelp.Replace(help) + "\n# TYPE " + name + " " + kind + "\n")
	for _, s := range samples {
		t.b.WriteString(name + s.Suffix)
		if s.Label != "" {
			t.b.WriteString("{" + s.Label + `="` + escapeValue.Replace(strings.ToValidUTF8(s.Value, "\uFFFD")) + `"}`)
		}
		t.b.WriteString(" " + strconv.FormatFloat(s.Is, 'g', -1, 64) + "\n")
	}
}

var (
	escapeHelp  = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	escapeValue = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
)

// WriteTo implements [io.WriterTo].
func (t *Text) WriteTo(w io.Writer) (int64, error) { return t.b.WriteTo(w) }
