package signin

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/cookiejar"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/conformance/hosts/agents/record"
)

// A person reads what an agent shows them, and some seconds later has approved
// at the authorization server. What the agent shows to nobody they do not see,
// nor what it refused in their name.
type person struct {
	as       *authorizationServer
	progress bool // the agent shows it
	codes    bool // there is one to each link
	record   record.Record

	mu     sync.Mutex
	sight  *record.Sighting // by which they went, or are about to
	timer  *time.Timer
	done   time.Time // when they had approved
	failed error
	gone   sync.WaitGroup
}

// hurry is from when they could read everything to their approval.
const hurry = 3 * time.Second

func (p *person) begin() {
	p.record = record.Record{Tool: Tool, Codes: p.codes, Seen: p.sees, Answered: p.answered}
}

// sees has the person on their way, if it is the first that they see.
func (p *person) sees(s *record.Sighting) {
	if s.Way == "progress" && !p.progress {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sight != nil {
		return
	}
	p.sight = s
	p.gone.Add(1)
	p.timer = time.AfterFunc(hurry, func() {
		defer p.gone.Done()
		p.approve(s)
	})
}

// answered stops them if the prompt by which they would go was refused: either
// it was never on a screen, or they do not want to.
func (p *person) answered(q *record.Prompt) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if q.Answer != "accept" && p.sight != nil && p.sight.Prompt == q && p.timer.Stop() {
		p.gone.Done()
		p.sight = nil
	}
}

// approve goes to the authorization server and approves, through its pages.
func (p *person) approve(s *record.Sighting) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	err := p.visit(ctx, s)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done, p.failed = time.Now(), err
}

func (p *person) visit(ctx context.Context, s *record.Sighting) error {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	browser := &http.Client{Jar: jar, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: p.as.trust, MinVersion: tls.VersionTLS12}}}
	defer browser.CloseIdleConnections()
	if p.codes {
		return fakeas.Visit(ctx, browser, s.URL, s.Code, true)
	}
	back, err := fakeas.VisitAuthorization(ctx, browser, s.URL, "", true)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, back, nil)
	if err != nil {
		return errors.New("not an address: where the authorization server sends them")
	}
	resp, err := browser.Do(r)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}
