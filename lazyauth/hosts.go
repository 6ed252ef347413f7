package lazyauth

import (
	"maps"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A Host says how long the calls of one kind of host may wait for a person. It changes
// nothing else: a name proves nothing, so capabilities and security never depend on it.
// (MCP 2026-07-28 basic/index advises against any use of clientInfo for behaviour; a host
// that lies about its name hurts itself alone.)
type Host struct {
	// Patience takes the place of [Options.Patience]. Zero leaves that.
	Patience time.Duration
	// WithProgress is the patience with requests that carry a progress token, for
	// hosts whose limit begins anew with every progress message. Zero means Patience.
	WithProgress time.Duration
	// ShowsProgress says that the host shows progress messages to its person. Where it
	// has no elicitation, the prompt in one is then all that is needed, and the model is
	// told nothing before the patience is over.
	ShowsProgress bool
}

// knownHosts is what hosts were measured to do (November 2026, docs/hosts.md), less five
// seconds for the handler, by the name that they give themselves. A name with a star at
// its end stands for all that begin like it.
var knownHosts = map[string]Host{
	"codex-mcp-client":      {Patience: 295 * time.Second},
	"copilot-cli":           {Patience: 175 * time.Second, WithProgress: 395 * time.Second, ShowsProgress: true},
	"gemini-cli-mcp-client": {Patience: 595 * time.Second, ShowsProgress: true},
	"opencode":              {WithProgress: 395 * time.Second},
	"qwen-cli-mcp-client*":  {Patience: 295 * time.Second, WithProgress: 395 * time.Second, ShowsProgress: true},
}

// KnownHosts returns a copy of the table of hosts that are known to wait longer than
// most, for [Options.Hosts].
func KnownHosts() map[string]Host { return maps.Clone(knownHosts) }

// host returns what is known of the host behind req; the zero value if nothing is.
func (i *Interceptor) host(req *mcp.CallToolRequest) Host {
	if req == nil {
		return Host{}
	}
	info := req.ClientInfo()
	if info == nil {
		return Host{}
	}
	if h, ok := i.options.Hosts[info.Name]; ok {
		return h
	}
	var best Host
	length := -1
	for pattern, h := range i.options.Hosts {
		prefix, ok := strings.CutSuffix(pattern, "*")
		if ok && len(prefix) > length && strings.HasPrefix(info.Name, prefix) {
			best, length = h, len(prefix)
		}
	}
	return best
}

// patience is how long after its arrival a request of req's host may wait.
func (i *Interceptor) patience(req *mcp.CallToolRequest) time.Duration {
	h := i.host(req)
	if h.WithProgress != 0 && req.Params.GetProgressToken() != nil {
		return h.WithProgress
	}
	if h.Patience != 0 {
		return h.Patience
	}
	return i.options.Patience
}

// showsProgress is whether req's host is known to show progress messages.
func (i *Interceptor) showsProgress(req *mcp.CallToolRequest) bool { return i.host(req).ShowsProgress }
