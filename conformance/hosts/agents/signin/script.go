package signin

import (
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hosts/agents"
	"github.com/lazyauth/mcp-lazyauth/conformance/hosts/agents/model"
)

// A script is what a sensible agent does: it calls the tool, and again, after a
// while, if the result says that a sign-in is needed.
type script struct {
	done chan struct{}
	once sync.Once
}

func newScript() *script { return &script{done: make(chan struct{})} }

// How often the tool is called at most, and how long after a result that wants
// another call.
const (
	tries = 3
	pause = 6 * time.Second
)

// First is the tool.
func (*script) First() string { return Tool }

// Next decides by the last result.
func (s *script) Next(r *http.Request, results []string) ([]model.Call, string) {
	again := []model.Call{{Tool: Tool}}
	if len(results) == 0 {
		return again, ""
	}
	latest := results[len(results)-1]
	if !strings.Contains(latest, wanted) && len(results) < tries {
		select {
		case <-time.After(pause):
			return again, ""
		case <-r.Context().Done():
		}
	}
	s.once.Do(func() { close(s.done) })
	return nil, agents.LastWords(latest)
}
