package hostcheck

import (
	"encoding/json"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
)

// modulePath is the module that the suite is part of.
const modulePath = "github.com/lazyauth/mcp-lazyauth"

// Version is that of the module that the suite is part of, as Go knows it: a version
// that was tagged or made up of the commit, "+dirty" if there were changes, or "devel"
// for a build that knows of neither.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return devel
	}
	version := info.Main.Version
	if info.Main.Path != modulePath {
		version = ""
		for _, m := range info.Deps {
			if m.Path == modulePath {
				version = m.Version
			}
		}
	}
	if version == "" || version == "(devel)" {
		return devel
	}
	return version
}

const devel = "devel"

// client is what the host said of itself, in the first message that does; nil if it
// never did. What is long is cut.
func (s *session) client() *Implementation {
	lines := s.Lines()
	s.guard.Lock()
	for _, p := range s.peers { // in guided mode it may have said so before
		_, l := p.Initialized()
		lines = append(lines, l)
	}
	s.guard.Unlock()
	for _, l := range lines {
		if l.Kind != wire.Request {
			continue
		}
		raw := wire.ParseParams(l.Params).Meta[wire.MetaClient]
		if l.Method == "initialize" {
			var p struct {
				ClientInfo json.RawMessage `json:"clientInfo"`
			}
			_ = json.Unmarshal(l.Params, &p) // what is not there is empty
			raw = p.ClientInfo
		}
		var i Implementation
		if json.Unmarshal(raw, &i) != nil || i.Name == "" {
			continue
		}
		for _, text := range []*string{&i.Name, &i.Title, &i.Version} {
			*text = wire.Excerpt([]byte(strings.Join(strings.Fields(*text), " ")), 100)
		}
		return &i
	}
	return nil
}

// Clients are all that hosts said of themselves in the runs of a report, each once.
func (r *Report) Clients() []Implementation {
	var all []Implementation
	for _, result := range r.Results {
		if c := result.Client; c != nil && !slices.Contains(all, *c) {
			all = append(all, *c)
		}
	}
	return all
}
