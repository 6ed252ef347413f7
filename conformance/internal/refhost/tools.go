package refhost

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
)

// icons are those that a page would show.
var icons = regexp.MustCompile(`"src":\s*"(https?://[^"]*)"`)

// A toolset is what is known of the server's tools: the parameters of each that are
// mirrored in headers, and which tools are left out since their annotations are
// invalid.
type toolset struct {
	mirrored map[string][]parameter
	invalid  map[string]bool
}

// A parameter is one that is mirrored in a header.
type parameter struct {
	path   []string
	header string
}

// tools asks for the list of tools.
func (c *client) tools(ctx context.Context) error {
	list, err := c.request(ctx, "tools/list", nil, hostcheck.Call{})
	if err != nil {
		return err
	}
	if c.h.fault == FetchesIcons {
		for _, icon := range icons.FindAllSubmatch(list.Result, -1) {
			c.h.visit(ctx, string(icon[1]))
		}
	}
	if c.h.fault == FollowsReferences {
		for _, ref := range references.FindAllSubmatch(list.Result, -1) {
			c.h.visit(ctx, string(ref[1]))
		}
	}
	set := toolset{mirrored: make(map[string][]parameter), invalid: make(map[string]bool)}
	var result struct {
		Tools []struct {
			Name        string `json:"name"`
			InputSchema any    `json:"inputSchema"`
		} `json:"tools"`
	}
	_ = json.Unmarshal(list.Result, &result)
	for _, t := range result.Tools {
		params, ok := annotations(t.InputSchema, nil, true)
		for i, p := range params {
			ok = ok && !slices.ContainsFunc(params[:i], func(other parameter) bool { return strings.EqualFold(other.header, p.header) })
		}
		set.mirrored[t.Name], set.invalid[t.Name] = params, !ok && c.h.fault != KeepsInvalidTools || len(params) > 0 && c.h.fault == LeavesAnnotated
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known = set
	return nil
}

// token is what the name of a header can be.
var token = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

// annotations are those below a part of a schema; false if one is invalid. Static is
// what is reached by properties alone.
func annotations(part any, path []string, static bool) ([]parameter, bool) {
	var out []parameter
	ok := true
	switch v := part.(type) {
	case []any:
		for _, one := range v {
			below, fine := annotations(one, path, false)
			out, ok = append(out, below...), ok && fine
		}
	case map[string]any:
		if header, annotated := v["x-mcp-header"]; annotated {
			name, _ := header.(string)
			kind, _ := v["type"].(string)
			ok = static && len(path) > 0 && token.MatchString(name) && slices.Contains([]string{"string", "integer", "boolean"}, kind)
			out = append(out, parameter{path, name})
		}
		for key, below := range v {
			properties, named := below.(map[string]any)
			if key != "properties" || !named {
				found, fine := annotations(below, path, false)
				out, ok = append(out, found...), ok && fine
				continue
			}
			for name, property := range properties {
				found, fine := annotations(property, append(slices.Clip(path), name), static)
				out, ok = append(out, found...), ok && fine
			}
		}
	}
	return out, ok
}

// excluded says whether a tool is none for this host.
func (c *client) excluded(tool string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, overHTTP := c.link.(*httpLink)
	return overHTTP && c.modern && c.known.invalid[tool] && c.h.habit != CallsByName
}

// headers are those that mirror the parameters of a call.
func (c *client) headers(tool string, arguments map[string]any) map[string]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make(map[string]string)
	for _, p := range c.known.mirrored[tool] {
		var value any
		_ = json.Unmarshal(mustJSON(arguments), &value)
		for _, name := range p.path {
			members, _ := value.(map[string]any)
			value = members[name]
		}
		if value == nil && c.h.fault == MirrorsNothing {
			out["Mcp-Param-"+p.header] = ""
		}
		if value == nil || c.h.fault == MirrorsTopAlone && len(p.path) > 1 {
			continue
		}
		text := fmt.Sprint(value)
		if n, ok := value.(float64); ok && n == math.Trunc(n) {
			if text = fmt.Sprintf("%.0f", n); c.h.fault == MirrorsHex {
				text = fmt.Sprintf("%#x", int(n))
			}
		}
		out["Mcp-Param-"+p.header] = c.h.carried(text)
	}
	return out
}

// plain is what a header can carry as it is.
var plain = regexp.MustCompile(`^[!-~]([ -~\t]*[!-~])?$`)

// carried is a value as a header carries it.
func (h *host) carried(value string) string {
	literal := strings.HasPrefix(value, "=?base64?") && strings.HasSuffix(value, "?=")
	if plain.MatchString(value) && !literal && h.habit != EncodesAllParameters {
		return value
	}
	if h.fault == MarksOtherwise {
		return "=?BASE64?" + base64.StdEncoding.EncodeToString([]byte(value)) + "?="
	}
	return "=?base64?" + base64.StdEncoding.EncodeToString([]byte(value)) + "?="
}
