package hostcheck_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
)

// until waits for something to be true of a guide.
func until(t *testing.T, g *hostcheck.Guide, what string, ok func() bool) {
	t.Helper()
	timeout := time.After(2 * time.Minute)
	for {
		changed := g.Changed()
		if ok() {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("%s did not come to pass: %+v", what, g.Checklist())
		}
	}
}

func state(g *hostcheck.Guide, scenario string) string {
	for _, s := range g.Checklist() {
		if s.Scenario == scenario {
			return s.State
		}
	}
	return ""
}

// A person configures their host once, and works through two steps with it: a
// host on the SDK's client, over HTTP in the older era.
func TestGuide_Run(t *testing.T) {
	told := 0
	g, err := hostcheck.NewGuide(hostcheck.Config{
		Protocols: []string{hostcheck.Legacy}, Transports: []string{hostcheck.HTTP}, Scenarios: []string{"advertising", "consent"},
		Progress: func(int, int, hostcheck.Result) { told++ },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if g.Connected() || len(g.Checklist()) != 2 || len(g.Snapshot().Results) != 0 {
		t.Errorf("before anything happened: %v %+v", g.Connected(), g.Checklist())
	}
	if err := g.Start("burst"); err == nil {
		t.Error("a step that there is none of can be started")
	}

	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	client := mcp.NewClient(&mcp.Implementation{Name: "sdk", Version: "1"}, &mcp.ClientOptions{
		Capabilities: &mcp.ClientCapabilities{Elicitation: &mcp.ElicitationCapabilities{URL: &mcp.URLElicitationCapabilities{}}},
		ElicitationHandler: func(context.Context, *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			return &mcp.ElicitResult{Action: "accept"}, nil
		},
	})
	session, err := client.Connect(ctx, &mcp.StreamableClientTransport{Endpoint: g.Server().URL}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	call := func(label string) string {
		r, err := session.CallTool(ctx, &mcp.CallToolParams{Name: "notes_search", Arguments: map[string]any{"call": label}})
		if err != nil {
			t.Fatal(err)
		}
		return r.Content[0].(*mcp.TextContent).Text
	}
	if got := call("first"); got != "Start a step of the checklist first, then call this again." {
		t.Errorf("between the steps the tool says %q", got)
	}

	if err := g.Start("advertising"); err != nil {
		t.Fatal(err)
	}
	call("first")
	if s := g.Snapshot(); len(s.Results) != 1 || state(g, "advertising") != hostcheck.StepRunning {
		t.Errorf("while it runs: %+v", s.Results)
	}
	call("second")
	until(t, g, "the end of the first step", func() bool { return state(g, "advertising") == hostcheck.StepDone })
	r := g.Snapshot().Results[0]
	for _, id := range []string{"A1", "A2", "A30"} {
		if c := check(t, r, id); c.Status != hostcheck.Success {
			t.Errorf("%s is %s: %s", id, c.Status, c.ErrorMessage)
		}
	}

	if err := g.Start("consent"); err != nil {
		t.Fatal(err)
	}
	call("sign-in")
	if err := g.Answer("consent", "A13", true); err != nil {
		t.Error(err)
	}
	if err := g.Answer("consent", "A8", false); err != nil {
		t.Error(err)
	}
	if err := g.Answer("consent", "A6", true); err == nil {
		t.Error("a person is asked about what they cannot see")
	}
	g.Finish()
	r = g.Snapshot().Results[1]
	for id, want := range map[string]hostcheck.Status{
		"A6": hostcheck.Success, "A7": hostcheck.Success, "A13": hostcheck.Success, "A8": hostcheck.Failure, "A9": hostcheck.Skipped,
	} {
		if c := check(t, r, id); c.Status != want {
			t.Errorf("%s is %s, not %s: %s", id, c.Status, want, c.ErrorMessage)
		}
	}
	answered := ""
	for _, q := range g.Checklist()[1].Questions {
		answered += q.Answer
	}
	if answered != "noyes" || told != 2 || !g.Connected() {
		t.Errorf("answers %q, %d steps told, connected %v", answered, told, g.Connected())
	}
}

// A guide that is closed in the middle of a step ends it.
func TestGuide_ClosesInTheMiddle(t *testing.T) {
	g, err := hostcheck.NewGuide(hostcheck.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if len(g.Server().Command) == 0 {
		t.Error("there is no command for the host to start")
	}
	if err := g.Start("consent"); err != nil {
		t.Fatal(err)
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	if state(g, "consent") != hostcheck.StepDone {
		t.Errorf("the step is %s", state(g, "consent"))
	}
	if err := g.Start("consent"); err == nil {
		t.Error("a closed guide starts steps")
	}
}

// Whatever a person can do by hand is a step, in the words that they say to their
// host. Time-outs of a second or two are not for people, and not every host reads
// resources and gets prompts.
func TestGuide_Steps(t *testing.T) {
	for _, protocol := range []string{hostcheck.Legacy, hostcheck.Modern} {
		for _, transport := range []string{hostcheck.Stdio, hostcheck.HTTP} {
			g, err := hostcheck.NewGuide(hostcheck.Config{Protocols: []string{protocol}, Transports: []string{transport}})
			if err != nil {
				t.Fatal(err)
			}
			steps := make(map[string]hostcheck.Step)
			for _, s := range g.Checklist() {
				steps[s.Scenario] = s
			}
			for _, s := range hostcheck.Scenarios() {
				step, is := steps[s.Name]
				due := slices.Contains(s.Protocols, protocol) && slices.Contains(s.Transports, transport) && !slices.Contains([]string{"waiting", "pausing", "other-requests"}, s.Name)
				if is != due || is && (step.Instruction == "" || step.Description == "" || len(step.Say) != len(s.Steps(protocol))) {
					t.Errorf("%s over %s: %s is a step: %v; %+v", protocol, transport, s.Name, is, step)
				}
			}
			if got := steps["parallel"].Say; len(got) != 1 || got[0] != "Call these tools at once: "+
				"notes_search with call set to one, notes_add with call set to two and notes_search with call set to three." {
				t.Errorf("%q", got)
			}
			if err := g.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// A person who does what each dialog says at its end does nothing wrong.
func TestGuide_DialogsSayWhatToDo(t *testing.T) {
	g, err := hostcheck.NewGuide(hostcheck.Config{
		Protocols: []string{hostcheck.Legacy}, Transports: []string{hostcheck.HTTP}, Scenarios: []string{"parallel", "odd-urls", "burst", "refusal"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	actions := map[string]string{"agree to": "accept", "decline": "decline", "dismiss": "cancel"}
	client := mcp.NewClient(&mcp.Implementation{Name: "sdk", Version: "1"}, &mcp.ClientOptions{
		Capabilities: &mcp.ClientCapabilities{Elicitation: &mcp.ElicitationCapabilities{URL: &mcp.URLElicitationCapabilities{}}},
		ElicitationHandler: func(_ context.Context, r *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			_, hint, _ := strings.Cut(r.Params.Message, " (hostcheck: ")
			action := actions[strings.TrimSuffix(hint, " this one)")]
			if action == "" || strings.HasPrefix(r.Params.URL, "javascript:") {
				action = "cancel"
			}
			return &mcp.ElicitResult{Action: action}, nil
		},
	})
	session, err := client.Connect(t.Context(), &mcp.StreamableClientTransport{Endpoint: g.Server().URL}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	for scenario, steps := range map[string][][]string{
		"parallel": {{"one", "two", "three"}}, "refusal": {{"agreed"}, {"declined"}, {"cancelled"}}, "odd-urls": {{"punycode"}, {"script"}, {"shell"}}, "burst": {{"burst"}},
	} {
		if err := g.Start(scenario); err != nil {
			t.Fatal(err)
		}
		for _, step := range steps {
			var calls sync.WaitGroup
			for _, label := range step {
				calls.Go(func() {
					_, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "notes_search", Arguments: map[string]any{"call": label}})
					if err != nil {
						t.Error(err)
					}
				})
			}
			calls.Wait()
		}
		until(t, g, "the end of "+scenario, func() bool { return state(g, scenario) == hostcheck.StepDone })
	}
	for _, r := range g.Snapshot().Results {
		if r.Client == nil || r.Client.Name != "sdk" {
			t.Errorf("%s was done by %+v", r.Scenario, r.Client)
		}
		for _, c := range r.Checks {
			if c.Status == hostcheck.Failure || c.Status == hostcheck.Warning {
				t.Errorf("%s: %s is %s: %s", r.Scenario, c.ID, c.Status, c.ErrorMessage)
			}
		}
	}
}
