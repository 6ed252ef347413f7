package refhost

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
)

// connect finds out which protocol the server speaks, and opens it.
func (h *host) connect(ctx context.Context) (*client, error) {
	c, err := h.dial(ctx, true)
	if err != nil {
		return nil, err
	}
	if h.habit == OlderEraAlone {
		c.older()
		return c, h.initialize(ctx, c)
	}
	if h.fault == ProbesLate {
		_, _ = c.request(ctx, "tools/list", nil, probe)
	}
	r, err := c.request(ctx, "server/discover", nil, probe)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if h.habit == NewerEraAlone && !h.speaksModern(r, err) {
		c.close()
		return nil, errors.New("the server does not speak the newer protocol")
	}
	if h.habit == GivesUpOnVersion && r.Error != nil && r.Error.Code == -32022 {
		c.close()
		h.crash(errors.New("the server does not speak the version that this host does")) // an orderly end with an error
		return nil, context.Cause(ctx)
	}
	if r.Error != nil && r.Error.Code == -32022 && h.fault != FallsBackOnVersion && h.fault != InsistsOnVersion {
		if !c.inCommon(r.Error.Data) {
			c.close()
			return nil, errVersion
		}
		r, err = c.request(ctx, "server/discover", nil, probe)
	}
	if h.speaksModern(r, err) {
		if err := c.tools(ctx); err != nil {
			return c, err
		}
		c.listen(r.Result)
		return c, nil
	}
	if h.fault == FallsBackOnOneCode && r.Error != nil && r.Error.Code != -32601 {
		c.close()
		return nil, errors.New("the server does not speak the newer protocol")
	}
	c.older()
	return c, h.initialize(ctx, c)
}

// probe stands for the call in the question for the newer era: a server of the older
// one need not answer it. It takes long, since it is the first thing that a server hears
// that may still be starting: on a busy machine that alone takes seconds.
var probe = hostcheck.Call{ID: "probe", TimeoutMs: 20_000}

var errVersion = errors.New("the server and this host have no version of the protocol in common")

// inCommon takes, of the versions that an error names, that which this host speaks.
func (c *client) inCommon(data json.RawMessage) bool {
	var d struct {
		Supported []string `json:"supported"`
	}
	_ = json.Unmarshal(data, &d)
	if !slices.Contains(d.Supported, hostcheck.Modern) {
		return false
	}
	c.mu.Lock()
	c.version = hostcheck.Modern
	c.mu.Unlock()
	if link, ok := c.link.(*httpLink); ok {
		link.version.Store(hostcheck.Modern)
	}
	return true
}

// firstVersion is the version of the newer era that the host asks for first.
func (h *host) firstVersion() string {
	if h.fault == InsistsOnVersion || h.habit == DraftFirst {
		return "DRAFT-2027-v1"
	}
	return hostcheck.Modern
}

// older has the client speak the older protocol.
func (c *client) older() {
	if link, ok := c.link.(*httpLink); ok {
		link.modern.Store(false)
	}
	c.modern = false
}

// listen has the server tell when its tools change, if they can.
func (c *client) listen(discovered json.RawMessage) {
	var d struct {
		Capabilities struct {
			Tools struct {
				ListChanged bool `json:"listChanged"`
			} `json:"tools"`
		} `json:"capabilities"`
	}
	c.h.mu.Lock()
	again := len(c.h.peers) > 0
	c.h.mu.Unlock()
	if json.Unmarshal(discovered, &d) != nil || !d.Capabilities.Tools.ListChanged || again && c.h.fault == ListensOnce {
		return
	}
	c.mu.Lock()
	c.next++
	id := strconv.Itoa(c.next)
	c.mu.Unlock()
	kind := "toolsListChanged"
	if again && c.h.fault == ListensToOthers {
		kind = "promptsListChanged"
	}
	raw := c.encode(id, "subscriptions/listen", map[string]any{"notifications": map[string]any{kind: true}})
	c.link.send(c.h.begun, raw, head{method: "subscriptions/listen"}, func(error) {}) // it ends with the connection
}

// references are what schemas refer to on the network.
var references = regexp.MustCompile(`"\$ref":\s*"(https?://[^"]*)"`)

func (h *host) dial(ctx context.Context, modern bool) (*client, error) {
	c := &client{
		h: h, modern: modern, version: h.firstVersion(), pending: make(map[string]*outgoing), gaveUp: make(map[string]bool), last: make(map[string]string),
	}
	if h.launch.Task.Server.URL != "" {
		if h.habit == StdioAlone {
			return nil, errors.New("this host has no HTTP")
		}
		c.link = newHTTPLink(h, c.receive, modern)
		return c, nil
	}
	if h.habit == HTTPAlone {
		return nil, errors.New("this host starts no servers")
	}
	conn, err := h.launch.Server(ctx)
	if err != nil {
		return nil, fmt.Errorf("starting the server: %w", err)
	}
	link := newStdioLink(conn, c.receive, h.fault == LogsToServer)
	link.kills, link.twice = h.fault == KillsServer, h.fault == SendsTwice
	c.link = link
	return c, nil
}

// speaksModern reads the answer to server/discover. An error of the newer era
// is proof of it too; any other one is not.
func (h *host) speaksModern(r message, err error) bool {
	if err != nil {
		return false
	}
	if r.Error != nil {
		return r.Error.Code <= -32020 && r.Error.Code >= -32022 && h.fault != FallsBackOnVersion
	}
	var d struct {
		SupportedVersions []string `json:"supportedVersions"`
	}
	_ = json.Unmarshal(r.Result, &d)
	return slices.Contains(d.SupportedVersions, hostcheck.Modern)
}

func (h *host) initialize(ctx context.Context, c *client) error {
	params := map[string]any{"protocolVersion": hostcheck.Legacy, "capabilities": h.capabilities(), "clientInfo": clientInfo}
	if h.fault == HalfInitialize {
		delete(params, "clientInfo")
	}
	if h.fault == AsksBeforeInitialized {
		time.AfterFunc(50*time.Millisecond, func() { _, _ = c.request(ctx, "tools/list", nil, hostcheck.Call{}) })
	}
	r, err := c.request(ctx, "initialize", params, hostcheck.Call{})
	if err != nil {
		return err
	}
	if r.Error != nil {
		return errors.New("initialize: " + r.Error.Message)
	}
	var agreed struct {
		ProtocolVersion string `json:"protocolVersion"`
	}
	_ = json.Unmarshal(r.Result, &agreed)
	if agreed.ProtocolVersion != "" && agreed.ProtocolVersion != hostcheck.Legacy && h.fault != TakesAnyVersion {
		c.close()
		return errVersion
	}
	if h.fault != NeverInitialized {
		c.notify("notifications/initialized", nil)
	}
	if link, ok := c.link.(*httpLink); ok && h.habit != NoStream {
		link.listen()
	}
	return c.tools(ctx)
}
