package store

import (
	"io"

	"github.com/lazyauth/mcp-lazyauth/internal/exposition"
)

// WriteTo writes the counts in the text format that Prometheus reads, each by a name that begins with lazyauth_fleet_.
// It is for programs that have no library for that, and serve it at /metrics, where callers do not get to:
//
//	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
//		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
//		_, _ = fleet.Counts().WriteTo(w)
//	})
//
// There are no keys, persons or names in them. docs/scale.md, "Metrics", has them one by one.
func (c FleetCounts) WriteTo(w io.Writer) (int64, error) {
	var text exposition.Text
	count := func(name, help string, n uint64) {
		text.Add("lazyauth_fleet_"+name+"_total", "counter", help, exposition.Sample{Is: float64(n)})
	}
	came := func(to string, n uint64) exposition.Sample {
		return exposition.Sample{Label: "came_to", Value: to, Is: float64(n)}
	}
	count("takeovers", "Attempts of other machines that did not end them, and which this one went on from.", c.TakeOvers)
	count("in_doubt", "Attempts begun in doubt of what the last one had done.", c.InDoubt)
	text.Add("lazyauth_fleet_late_writes_total", "counter", "Writes that came when another machine had gone on already.",
		came("written", c.FencedOver), came("ended", c.Ended), came("dropped", c.Fenced-c.FencedOver-c.Ended))
	text.Add("lazyauth_fleet_lost_records_total", "counter", "Records of which the store had lost the last.",
		came("written_back", c.Healed), came("left", c.FailedOver-c.Healed))
	count("unwritten", "Writes that failed for as long as they were waited for.", c.Unwritten)
	text.Add("lazyauth_fleet_lateness_seconds", "summary", "How late polls of sign-ins began.",
		exposition.Sample{Suffix: "_sum", Is: c.LateBy.Seconds()}, exposition.Sample{Suffix: "_count", Is: float64(c.Late)})
	text.Add("lazyauth_fleet_most_lateness_seconds", "gauge", "How late one began at the most, since the process began.",
		exposition.Sample{Is: c.MostLateBy.Seconds()})
	return text.WriteTo(w)
}
