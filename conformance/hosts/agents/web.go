package agents

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/chromedp/chromedp"
)

// A webPage is a program that serves a page, and somebody before it in Chromium
// who clicks.
type webPage struct {
	address *regexp.Regexp // what the program prints
	clicks  []string       // the texts of what is clicked on, in their order
	until   string         // stands on the page when all is done
}

// chromium is Debian's name of it.
const chromium = "chromium"

// drive runs the program and its page.
func (p *webPage) drive(ctx context.Context, s *Session, l launch) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := s.command(ctx, l, l.command)
	out, in := io.Pipe()
	defer func() { _ = in.Close() }()
	cmd.Stdout, cmd.Stderr = in, in
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() { cancel(); _ = cmd.Wait() }()
	address, err := p.wait(ctx, s, out)
	if err != nil {
		return err
	}
	return p.surf(ctx, s, address)
}

// wait reads what the program prints until the address has come, and goes on
// reading beside whatever is done with it.
func (p *webPage) wait(ctx context.Context, s *Session, out io.Reader) (string, error) {
	found := make(chan string, 1)
	go func() {
		var all strings.Builder
		buffer := make([]byte, 4096)
		for {
			n, err := out.Read(buffer)
			all.Write(buffer[:n])
			_, _ = s.Log.Write(buffer[:n])
			if m := p.address.FindString(all.String()); m != "" && len(found) == 0 {
				select {
				case found <- m:
				default:
				}
			}
			if err != nil {
				return
			}
		}
	}()
	select {
	case address := <-found:
		return address, nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// surf opens the page and clicks.
func (p *webPage) surf(ctx context.Context, s *Session, address string) error {
	if _, err := exec.LookPath(chromium); err != nil {
		return err
	}
	environment := s.environment()
	ctx, stop := chromedp.NewExecAllocator(ctx, append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium), chromedp.UserDataDir(filepath.Join(s.home, "chromium")), chromedp.Env(environment...),
		chromedp.NoSandbox,                   // Chromium has none for root, and opens nothing here but this page
		chromedp.WSURLReadTimeout(time.Hour), // ctx is what ends a start
	)...)
	defer stop()
	ctx, cancel := chromedp.NewContext(ctx)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate(address)); err != nil {
		return err
	}
	look := time.NewTicker(glance)
	defer look.Stop()
	for next, before := 0, ""; ; {
		now, err := p.look(ctx, next)
		if err != nil {
			return err
		}
		if now.Text != before {
			s.keep(now.Text)
			before = now.Text
		}
		if now.Clicked {
			next++
		}
		if strings.Contains(now.Text, p.until) {
			return nil
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// seen is what stands on the page, and whether the next thing could be clicked.
type seen struct {
	Text    string
	Clicked bool
}

// look reads the page, and clicks on the next thing if it is there.
func (p *webPage) look(ctx context.Context, next int) (out seen, err error) {
	text := ""
	if next < len(p.clicks) {
		text = p.clicks[next]
	}
	argument, err := json.Marshal(text)
	if err != nil {
		return out, err
	}
	return chromedp.Run(ctx, chromedp.Evaluate[seen](fmt.Sprintf(lookAndClick, argument)))
}

// lookAndClick is given the text of what is to be clicked.
const lookAndClick = `((text) => {
	const things = [...document.querySelectorAll('button, a, [role=button], [role=switch], [role=tab], label, input, li, span, p')];
	const name = (e) => (e.getAttribute('aria-label') || e.innerText || e.value || '').trim();
	const thing = text && things.find((e) => name(e) === text && !e.disabled);
	if (thing) thing.click();
	return { Text: document.body.innerText + '\n## ' + [...new Set(things.map(name))].join(' | '), Clicked: Boolean(thing) };
})(%s)`

// Inspector is the web interface of the MCP Inspector: a script for Node.js that
// serves a page. Its dialog is left open, since the page stands still once it has
// opened another before it: it answers by itself when the sign-in is complete.
func Inspector(version, script string) Agent {
	page := &webPage{
		address: regexp.MustCompile(`http://127\.0\.0\.1:\d+\?MCP_INSPECTOR_API_TOKEN=[0-9a-f]+`),
		clicks:  []string{`Connect or disconnect "notes"`, "Tools", "whoami", "Execute Tool"},
		until:   "Ada Example",
	}
	return Agent{Name: "inspector-web", Title: "MCP Inspector, web", adapter: &Adapter{Version: version}, configure: func(s *Session) (launch, error) {
		err := s.writeAll(map[string]any{"inspector.json": object{"mcpServers": object{s.Server.Name: s.entry()}}})
		return launch{
			environment: []string{"CLIENT_PORT=" + freePort(), "MCP_SANDBOX_PORT=" + freePort(), "MCP_APP_ORIGIN_PORT=" + freePort(), "MCP_AUTO_OPEN_ENABLED=false", "MCP_INSPECTOR_SECRET_STORE=memory"},
			command:     []string{"node", script, "--web", "--config", s.home + "/inspector.json"},
			drive:       page.drive,
		}, err
	}}
}

// freePort is one of loopback that nobody listens on.
func freePort() string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "0"
	}
	defer func() { _ = listener.Close() }()
	_, port, _ := net.SplitHostPort(listener.Addr().String()) // it has one
	return port
}
