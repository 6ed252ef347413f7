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
// that lies about its name hurts itself alone, and a server over HTTP has its request for
// longer: docs/rough-edges.md.)
type Host struct {
	// MaxWait takes the place of [Options.MaxWait]. Zero leaves that.
	MaxWait time.Duration
	// MaxWaitWithProgress is the one with requests that carry a progress token, for
	// hosts whose limit begins anew with every progress message. Zero means MaxWait.
	MaxWaitWithProgress time.Duration
	// ShowsProgress says that the host shows progress messages to its person. Where it
	// has no elicitation, the prompt then stands there for a minute before the model
	// gets it as well, and for ten seconds otherwise. It is no more than that since programs
	// that run unattended, and show progress to nobody, have the name of those that do
	// (gemini -p, qwen -p). The next call joins the sign-in, and waits its whole time.
	ShowsProgress bool
}

// knownHosts is what hosts were measured to do (November 2026, docs/hosts.md), less five
// seconds for the handler, by the name that they give themselves. A name with a star at
// its end stands for all that begin like it.
var knownHosts = map[string]Host{
	"codex-mcp-client":      {MaxWait: 295 * time.Second},
	"copilot-cli":           {MaxWait: 175 * time.Second, MaxWaitWithProgress: 395 * time.Second, ShowsProgress: true},
	"gemini-cli-mcp-client": {MaxWait: 595 * time.Second, ShowsProgress: true},
	"opencode":              {MaxWaitWithProgress: 395 * time.Second},
	"qwen-cli-mcp-client*":  {MaxWait: 295 * time.Second, MaxWaitWithProgress: 395 * time.Second, ShowsProgress: true},
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

// maxWait is how long after its arrival a request of req's host may wait.
func (i *Interceptor) maxWait(req *mcp.CallToolRequest) time.Duration {
	h := i.host(req)
	if h.MaxWaitWithProgress != 0 && req.Params.GetProgressToken() != nil {
		return h.MaxWaitWithProgress
	}
	if h.MaxWait != 0 {
		return h.MaxWait
	}
	return i.options.MaxWait
}

// showsProgress is whether req's host is known to show progress messages.
func (i *Interceptor) showsProgress(req *mcp.CallToolRequest) bool { return i.host(req).ShowsProgress }
