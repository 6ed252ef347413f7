package interop_test

import (
	"cmp"
	"context"
	"fmt"
	"testing"
)

// The command-line hosts have no elicitation and no progress. What keeps the server,
// and with it the grant, alive between their calls is their daemon, or that it is not
// theirs.
var commandLines = []struct {
	name     string
	era      era
	endpoint endpoint // "" is stdio
	start    func(ctx context.Context, o hostOptions) (host, error)
}{
	{"inspector", legacy, stateful, startInspector},
	{"inspector", modern, stateless, startInspector},
	{"mcporter", legacy, stateless, startMCPorter},
	{"mcporter daemon", legacy, "", startMCPorterDaemon},
	{"mcpdo", legacy, "", startMCPDo},
	{"mcpdo", modern, "", startMCPDo},
}

// Each story is many short-lived processes, which keep a small machine busy: they are
// told before all others, some of which need their polls to be in time.
func TestCommandLines(t *testing.T) {
	for _, h := range commandLines {
		t.Run(fmt.Sprintf("%s/%s/%s", h.name, h.era, cmp.Or(h.endpoint, "stdio")), func(t *testing.T) {
			t.Parallel()
			inText(t, newStory(t, storyOptions{reach: byText, era: h.era, start: h.start, endpoint: h.endpoint}))
		})
	}
	for name, start := range map[string]func(context.Context, hostOptions) (host, error){
		"inspector": startInspector, "mcporter": startMCPorter,
	} {
		t.Run(name+"/a server for each call", func(t *testing.T) {
			t.Parallel()
			anew(t, newStory(t, storyOptions{reach: byText, era: legacy, start: start}))
		})
	}
	// mcpdo can declare elicitation. It leaves the call with its daemon and says what is
	// asked; who reads that answers with another command, which has the result.
	for e, mode := range map[era]reach{legacy: byForm, modern: byURL} {
		t.Run(fmt.Sprintf("mcpdo/%s/%s", e, mode), func(t *testing.T) {
			t.Parallel()
			byElicitation(t, newStory(t, storyOptions{reach: mode, era: e, start: startMCPDo}))
		})
	}
}

// inText: the first call ends with a text, for whoever reads the terminal; they
// approve, and the next call has the answer. The handler ran once for it.
func inText(t *testing.T, s *story) {
	const text = "from the command line: \"quoted\" & <more>"
	s.approve(s.told(s.begin("create_note", map[string]any{"text": text})))
	if s.options.endpoint == stateful {
		s.eventually(func() bool { return s.granted() > 0 }) // a new session has not been told anything, and does not wait before it was
	}
	s.call("create_note", map[string]any{"text": text}, "")
	s.finish(0)
	s.wrote(t, text)
	if told := s.conversations(); s.options.endpoint != stateful && len(told) != 1 {
		t.Errorf("%d servers or sessions: none was kept", len(told))
	}
}

// anew: without anything that keeps the server alive there is nobody to fetch the
// token, and the next call signs in again.
func anew(t *testing.T, s *story) {
	s.approve(s.told(s.begin("whoami", nil)))
	s.told(s.begin("whoami", nil))
	s.finish(0)
	if told := s.conversations(); len(told) != 2 || len(*s.codes) != 2 {
		t.Errorf("%d servers told the codes %q, want a server and a code for each call", len(told), *s.codes)
	}
}
