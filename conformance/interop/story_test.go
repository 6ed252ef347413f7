package interop_test

import (
	"cmp"
	"context"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
)

// patience bounds every story: real processes that are still not done by then, on a busy machine,
// never will be.
const patience = 4 * time.Minute

// What a story is told with.
type storyOptions struct {
	as        *provider     // nil is oidc-provider
	kind      oidcClient    // of client, at the authorization server
	reach     reach         // what the host declares; "" is byURL
	name      string        // of the host's client, for one that the library knows
	endpoints bool          // the server is given endpoints, not an issuer
	flags     []string      // further flags for the server
	refuses   string        // what the person declines, as in hostOptions
	patience  time.Duration // for the whole story; 0 is patience
	way       way           // the server is serve with the tools of newOutcomes, and fakeas's only client
	offline   bool          // the server is serve and not examples/stdio
	redirect  bool          // the server, serve again, signs people in by a redirect
	kept      bool          // the server, serve again, keeps its grants in a folder
	explicit  bool          // the server is examples/stdio -mode explicit
	endpoint  endpoint      // the server is there already; "" is one that the host starts

	era   era
	start func(context.Context, hostOptions) (host, error)
}

// A story is one person with one host, whose server is a client of its own at
// the authorization server.
type story struct {
	*testing.T
	ctx     context.Context // of its calls
	cancel  context.CancelFunc
	options storyOptions
	as      *provider
	client  oidcClient
	visitor visitor
	person  *person // the visitor, too
	browser browser // theirs, for redirects
	host    host
	prompts chan prompt
	dir     string    // where the relay records
	log     string    // the server's -log, "" if it has none
	folder  string    // where the server keeps its grants, "" for one that does not
	codes   *[]string // what the person was shown, on all hosts of the story
	links   *[]string // the same
	changes int       // of the list of tools, which the server told of, as judged
}

// newStory starts the host. When the test ends the host is ended, whatever
// happened; finish looks at what was recorded.
func newStory(t *testing.T, o storyOptions) *story {
	t.Helper()
	if o.kind.Auth == "" {
		o.kind = publicClient
	}
	if o.redirect {
		o.kind.ApplicationType, o.kind.RedirectURIs, o.offline = nativeClient.ApplicationType, nativeClient.RedirectURIs, true
	}
	if o.as == nil {
		o.as = world.as
	}
	o.reach = cmp.Or(o.reach, byURL)
	if o.redirect && o.as != world.as {
		seat(t)
	}
	ctx, cancel := context.WithTimeout(t.Context(), cmp.Or(o.patience, patience))
	t.Cleanup(cancel)
	visitor, err := o.as.meet(ctx, o.as)
	if err != nil {
		t.Fatal(err)
	}
	s := &story{
		T: t, ctx: ctx, cancel: cancel, options: o, as: o.as,
		visitor: visitor, person: visitor.self(),
		prompts: make(chan prompt, 100),
		dir:     t.TempDir(),
		codes:   new([]string),
		links:   new([]string),
	}
	if o.redirect {
		s.browser = s.person
		if m, ok := visitor.(member); ok {
			s.browser = newSurfer(t, m.person, m.email, betterAuthLook)
		}
	}
	if o.way == "" {
		s.client = o.as.register(t, o.kind)
	} else {
		s.client.ID = fakeas.DefaultClientID
	}
	if o.kept {
		s.folder = filepath.Join(t.TempDir(), "grants")
	}
	if o.endpoint != "" {
		s.startHost(hostOptions{url: s.serveHTTP()})
		return s
	}
	s.startHost(s.server())
	return s
}

// another starts one more host for the same person, of this era, whose server is another
// process of the same client, and keeps its grants in folder.
func (s *story) another(e era, folder string) *story {
	s.Helper()
	other := *s
	other.options.era, other.folder = e, folder
	ctx, cancel := context.WithTimeout(s.T.Context(), patience)
	s.Cleanup(cancel)
	other.ctx, other.cancel = ctx, cancel
	other.host, other.prompts, other.dir = nil, make(chan prompt, 100), s.TempDir()
	other.startHost(other.server())
	return &other
}

// server returns how a host starts the story's server.
func (s *story) server() hostOptions {
	s.Helper()
	o := s.options
	server, args := world.self, []string{serveCommand}
	switch {
	case s.folder != "":
		args = append(args, "-store", s.folder)
		if !o.offline || o.redirect {
			args = append(args, "-scope", "profile")
		}
	case o.way != "":
		args = append(args, "-way", string(o.way))
	case !o.offline:
		s.log = filepath.Join(s.dir, "server.log")
		server, args = world.server, []string{"-log", s.log, "-patience", patience.String()}
	}
	args = append(args, "-client-id", s.client.ID, "-api", s.as.api.URL)
	if s.client.Secret != "" {
		args = append(args, "-client-secret", s.client.Secret)
	}
	if o.endpoints {
		at := s.as.endpoints(s.T)
		args = append(args, "-device-url", at.Device, "-token-url", at.Token)
	} else {
		args = append(args, "-issuer", s.as.Issuer)
	}
	if o.redirect {
		args = append(args, "-redirect", nativeClient.RedirectURIs[0])
	}
	if o.explicit {
		args = append(args, "-mode", "explicit")
	}
	args = append(args, o.flags...)
	return hostOptions{command: world.self, args: relayArgs(s.dir, server, args)}
}

// startHost starts the story's host with a server.
func (s *story) startHost(server hostOptions) {
	s.Helper()
	server.era, server.reach, server.name, server.prompts = s.options.era, s.options.reach, s.options.name, s.prompts
	server.refuses = s.options.refuses
	h, err := s.options.start(s.ctx, server)
	if err != nil {
		s.Fatalf("%v\n%s", err, s.stderr())
	}
	s.host = h
	s.Cleanup(func() {
		if s.host != nil {
			_ = s.host.close() // the story broke off
		}
	})
}

// A call under way.
type calling struct {
	*story
	tool string
	done chan struct{}
	res  result
	err  error
}

// begin calls a tool and does not wait for the result.
func (s *story) begin(tool string, arguments map[string]any) *calling {
	if arguments == nil {
		arguments = map[string]any{}
	}
	c := &calling{story: s, tool: tool, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		c.res, c.err = s.host.call(s.ctx, tool, arguments)
	}()
	return c
}

// result waits for the call's result.
func (c *calling) result() result {
	c.Helper()
	<-c.done // the call itself is bounded by the story
	if c.err != nil {
		c.Fatalf("%s: %v\n%s", c.tool, c.err, c.stderr())
	}
	return c.res
}

// call calls a tool, to which the API's answer has to contain want, and nobody
// may be asked anything. (Progress messages of a call before may still be on their
// way.)
func (s *story) call(tool string, arguments map[string]any, want string) {
	s.Helper()
	s.answered(s.begin(tool, arguments), want)
	if n := len(s.prompts); n != 0 && s.options.reach != byProgress {
		s.Fatalf("%s asked the person: %+v", tool, <-s.prompts)
	}
}

// answered waits for a call to end with an answer that contains want.
func (s *story) answered(c *calling, want string) {
	s.Helper()
	if r := c.result(); r.IsError || !strings.Contains(r.text(), want) {
		s.Fatalf("%s: %+v, want an answer with %q\n%s", c.tool, r, want, s.stderr())
	}
}

// refused waits for a call to end with an error that gives this reason.
func (s *story) refused(c *calling, reason string) result {
	s.Helper()
	r := c.result()
	if !r.IsError || r.reason() != reason {
		s.Fatalf("%s: %+v, want an error with reason %q\n%s", c.tool, r, reason, s.stderr())
	}
	return r
}

// prompted waits until the call has asked the person to sign in, and returns
// where to go and what to type there.
func (s *story) prompted(c *calling) (address, code string) {
	s.Helper()
	p := s.shown(c)
	if p.Mode != string(s.options.reach) {
		s.Fatalf("asked in mode %q: %+v", p.Mode, p)
	}
	switch s.options.reach {
	case byForm: // the address is typed, and what is no link has no scheme
		scheme, rest, _ := strings.Cut(s.as.Issuer, "://")
		return s.directions(scheme+"://"+s.addressIn(p.Message, rest), p.Message)
	case byProgress:
		return s.directions(s.addressIn(p.Message, s.as.Issuer), p.Message)
	default:
		return s.directions(p.URL, p.Message)
	}
}

// shown waits until the call has asked the person, and returns what it has shown.
func (s *story) shown(c *calling) prompt {
	s.Helper()
	for {
		var p prompt
		select {
		case p = <-s.prompts:
		case <-c.done:
			select {
			case p = <-s.prompts: // it came before the end, and both before anybody looked
			default:
				s.Fatalf("%s asked nobody: %+v %v\n%s", c.tool, c.res, c.err, s.stderr())
			}
		case <-s.ctx.Done():
			s.Fatalf("%s asks nobody and does not end\n%s", c.tool, s.stderr())
		}
		if !p.waits() {
			return p
		}
	}
}

// waits reports whether it is a progress message that is sent before there is a code, by a server that waits
// for one for long.
func (p prompt) waits() bool {
	return p.Mode == string(byProgress) && strings.HasPrefix(p.Message, "Waiting for the sign-in to ")
}

// granted returns how often the server has said that a sign-in has brought it a token: before it has, the next call may
// ask once more, even if the authorization server has issued it.
func (s *story) granted() int { return strings.Count(s.stderr(), "authorization granted") }

// reading is how long it takes at least to pass a text on and to read it. Calls that
// come sooner count as made together with the one that was told, and are told as well.
const reading = 300 * time.Millisecond

// told waits until the call has ended with where to go and what to type there, for
// its model to pass on, and returns once somebody can have read it.
func (s *story) told(c *calling) (address, code string) {
	s.Helper()
	text := s.refused(c, "pending").text()
	select {
	case <-time.After(reading):
	case <-s.ctx.Done():
	}
	return s.directions(s.addressIn(text, s.as.Issuer), text)
}

// addressIn returns the word of a text that begins as the authorization server's
// addresses do.
func (s *story) addressIn(text, begins string) string {
	s.Helper()
	at := strings.Index(text, begins)
	if at < 0 {
		s.Fatalf("no address in %q", text)
	}
	return strings.TrimRight(strings.Fields(text[at:])[0], ".,;")
}

// directions checks what the person is told: an address that is safe to open
// and carries nothing, and one code.
func (s *story) directions(address, message string) (string, string) {
	s.Helper()
	u, err := url.Parse(address)
	loopback := err == nil && (u.Hostname() == "127.0.0.1" || u.Hostname() == "localhost")
	if err != nil || u.User != nil || u.Scheme != "https" && (u.Scheme != "http" || !loopback) {
		s.Fatalf("asked to open %q", address)
	}
	if want := s.as.Issuer + "/device"; address != want {
		s.Errorf("asked to open %q, the verification address is %q", address, want)
	}
	codes := slices.Compact(s.as.userCode.FindAllString(message, -1))
	if len(codes) != 1 {
		s.Fatalf("codes %q in the message %q", codes, message)
	}
	if !slices.Contains(*s.codes, codes[0]) {
		*s.codes = append(*s.codes, codes[0])
	}
	return address, codes[0]
}

// signIn has the person approve what a call asks for, by the flow of the story.
func (s *story) signIn(c *calling) {
	s.Helper()
	if s.options.redirect {
		s.comesBack(s.linked(c), approves, "signed-in")
	} else {
		s.approve(s.prompted(c))
	}
}

// approve, deny: what the person does in the browser.
func (s *story) approve(address, code string) {
	s.Helper()
	if err := s.visitor.approve(s.ctx, address, code); err != nil {
		s.Fatal(err)
	}
}

func (s *story) deny(address, code string) {
	s.Helper()
	if err := s.visitor.deny(s.ctx, address, code); err != nil {
		s.Fatal(err)
	}
}

// stderr returns what the server printed and logged, for failures.
func (s *story) stderr() string {
	var all strings.Builder
	for _, name := range s.printed() {
		text, err := os.ReadFile(name)
		if err == nil && len(text) > 0 {
			all.WriteString(filepath.Base(name) + ":\n" + string(text))
		}
	}
	return all.String()
}

// printed names the files with what the server printed and logged.
func (s *story) printed() []string {
	names, _ := filepath.Glob(filepath.Join(s.dir, "*"+stderrSuffix)) // fails on bad patterns only
	if s.log != "" {
		names = append(names, s.log)
	}
	return names
}
