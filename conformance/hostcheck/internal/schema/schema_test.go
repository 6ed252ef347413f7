package schema_test

import (
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/schema"
)

const older, newer = "2025-11-25", "2026-07-28"

// A message is as the schema of its method has it, or the error says where it is not.
func TestRequest(t *testing.T) {
	meta := `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},` +
		`"io.modelcontextprotocol/clientInfo":{"name":"a","version":"1"}}`
	for name, c := range map[string]struct{ revision, raw, differs string }{
		"a call": {older, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"b":1}}}`, ""},
		"arguments in a string": {
			older, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":"{}"}}`, "string",
		},
		"arguments that are null": {
			older, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":null}}`, `type: null has type "null"`,
		},
		"no name": {newer, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"arguments":{},` + meta + `}}`, "name"},
		"answers in a list": {
			newer, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","inputResponses":[],` + meta + `}}`, "array",
		},
		"a cancellation":              {older, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`, ""},
		"a number for a reason":       {newer, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,"reason":7}}`, "reason"},
		"a method of no revision":     {newer, `{"jsonrpc":"2.0","id":1,"method":"acme/dance","params":[]}`, ""},
		"a method of another one":     {older, `{"jsonrpc":"2.0","id":1,"method":"server/discover","params":[]}`, ""},
		"initialize without a client": {older, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"x","capabilities":{}}}`, "clientInfo"},
		"no JSON":                     {older, `{`, "JSON"},
	} {
		err := schema.Request(c.revision, []byte(c.raw))
		if (err == nil) != (c.differs == "") || err != nil && !strings.Contains(err.Error(), c.differs) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestElicitResult(t *testing.T) {
	for raw, ok := range map[string]bool{
		`{"action":"accept","content":{"a":[]}}`: true, `{"action":"decline"}`: true,
		`{"action":"accept","content":[]}`: false, `{"action":"accepted"}`: false, `{}`: false, `[]`: false, `{`: false,
	} {
		for _, revision := range []string{older, newer} {
			if err := schema.ElicitResult(revision, []byte(raw)); (err == nil) != ok {
				t.Errorf("%s %s: %v", revision, raw, err)
			}
		}
	}
}
