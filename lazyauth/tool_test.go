package lazyauth_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
)

func TestTool_NamesItsScopes(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		list, err := w.Host(era, world.Accepts).Session.ListTools(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, tool := range list.Tools {
			got, _ := json.Marshal(tool.Meta[lazyauth.MetaSecuritySchemes])
			want := map[string]string{"ping": `null`, "list_notes": `[{"scopes":["notes:read"],"type":"oauth2"}]`}[tool.Name]
			if want != "" && string(got) != want {
				t.Errorf("%s: %s, want %s", tool.Name, got, want)
			}
		}
	})
}

func TestTool_ArgumentsAreCheckedFirst(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		h := w.Host(era, world.Accepts)
		r := <-h.Call(t.Context(), "create_note", map[string]any{"txet": "typo"})
		if r.Err != nil || !r.Result.IsError || !strings.Contains(r.Text(), "arguments") {
			t.Errorf("a typo in the arguments got %q, %v", r.Text(), r.Err)
		}
		h.WantPrompts(0)
		w.WantAuthorizations(0)
	})
}
