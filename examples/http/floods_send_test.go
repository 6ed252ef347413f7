package main

import (
	"bufio"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/examples/http/server"
)

// floodVariable makes the test binary the sender of a flood.
const floodVariable = "LAZYAUTH_EXAMPLE_FLOOD"

const (
	senders    = 64   // each with an address, and a connection at a time
	mostBegun  = 60   // calls of one sender that wait
	mostSlow   = 6000 // connections of slow callers at a time
	slowHeld   = 3 * time.Second
	enoughTime = 5 * time.Minute // for an answer
)

// A flood is what comes very often.
type flood struct {
	flags []string
	// send sends the nth part of it, and says what came of that.
	send func(s *sender, n int) string
	// held is for how long all that was opened is held at the end.
	held time.Duration
}

var floods = map[string]flood{
	// Another name each time, who is asked to sign in.
	"principals": {send: func(s *sender, n int) string {
		return s.posts(server.ModernPath, fmt.Sprint("name-", n), "", call("whoami", "{}"))
	}},
	// 64 names with many large calls, of which the first is prompted and the others wait.
	"calls": {send: func(s *sender, n int) string {
		return s.begins(server.ModernPath, fmt.Sprint("name-", n%senders), call("create_note", longNote))
	}},
	// The same in sessions, by hosts that hang up, where calls wait on.
	"hangups": {send: func(s *sender, n int) string {
		name := fmt.Sprint("name-", n%senders)
		if s.session == "" {
			s.posts(server.LegacyPath, name, "", opening(`"elicitation":{"url":{}}`))
			s.posts(server.LegacyPath, name, s.session, `{"jsonrpc":"2.0","method":"notifications/initialized"}`)
		}
		return s.hangsUp(server.LegacyPath, name, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"create_note","arguments":%s}}`, n, longNote))
	}},
	// 256 names with many sessions, opened with as much as that may be.
	"sessions": {send: func(s *sender, n int) string {
		return s.posts(server.LegacyPath, fmt.Sprint("name-", n%256), "", opening(`"experimental":{`+manyCapabilities+`}`))
	}},
	// 64 names with requests that are small, and large in memory.
	"values": {send: func(s *sender, n int) string {
		return s.posts(server.ModernPath, fmt.Sprint("name-", n%senders), "", list(`"x":[`+strings.Repeat("{},", 1500)+`{}],`))
	}},
	// Links that nobody was given, callbacks and forms.
	"links": {flags: []string{"-demo-users", "ada", "-connect"}, send: func(s *sender, n int) string {
		switch n % 3 {
		case 0:
			return s.sends("GET "+server.ConnectPath+"/callback/x?code=y&state="+rand.Text()[:16]+"."+strings.Repeat("z", 43), "")
		case 1:
			return s.sends("POST "+server.ConnectPath, "f="+rand.Text()[:22]+"&answer=continue", "Content-Type: application/x-www-form-urlencoded", "Sec-Fetch-Site: same-origin", "Cookie: "+server.DemoCookie+"=ada")
		}
		return s.sends("GET "+server.ConnectPath+"?f="+rand.Text()[:22], "", "Cookie: "+server.DemoCookie+"=ada")
	}},
	// Bearer tokens that nobody was given.
	"strangers": {flags: []string{"-demo-users", "ada"}, send: func(s *sender, n int) string {
		return s.posts(server.ModernPath, rand.Text(), "", call("whoami", "{}"))
	}},
	// Connections that say nothing, or half of a request, or do not read what they asked for.
	"slow": {held: slowHeld, send: func(s *sender, n int) string {
		if n > mostSlow {
			return "not opened"
		}
		return s.isSlow(n)
	}},
}

var (
	longNote         = `{"text":"` + strings.Repeat("x", 32<<10) + `"}`
	manyCapabilities = func() string { // as many as one opening may bring
		var b strings.Builder
		for n := 0; b.Len() < 20<<10; n++ {
			fmt.Fprintf(&b, `"%x":[{},{},{},{}],`, n)
		}
		return strings.TrimSuffix(b.String(), ",")
	}()
)

// call is a call of revision 2026-07-28.
func call(tool, arguments string) string {
	return `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"` + tool + `","arguments":` + arguments + `,
		"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",
		"io.modelcontextprotocol/clientCapabilities":{"elicitation":{"url":{}}}}}}`
}

// list asks for the tools, in the same revision.
func list(meta string) string {
	return `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{` + meta + `"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`
}

// opening is the request that opens a session.
func opening(capabilities string) string {
	return `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{` + capabilities + `},"clientInfo":{"name":"x","version":"1"}}}`
}

// sendFlood sends a flood, as what says, and prints what came of its parts.
func sendFlood(what string) {
	var kind, address string
	var many, perSecond int
	if _, err := fmt.Sscan(what, &kind, &many, &perSecond, &address); err != nil {
		fmt.Fprintln(os.Stderr, floodVariable, err)
		os.Exit(1)
	}
	f := floods[kind]
	var mu sync.Mutex
	answers := make(map[string]int)
	began := time.Now()
	var wg sync.WaitGroup
	for number := range senders {
		wg.Go(func() {
			s := &sender{from: net.IPv4(127, 0, 1, byte(number+1)), to: address}
			for n := number; n < many; n += senders {
				time.Sleep(time.Until(began.Add(time.Duration(n) * time.Second / time.Duration(perSecond))))
				answer := f.send(s, n)
				mu.Lock()
				answers[answer]++
				mu.Unlock()
			}
			time.Sleep(f.held)
			s.hangUp()
		})
	}
	wg.Wait()
	_ = json.NewEncoder(os.Stdout).Encode(answers)
}

// A sender has an address, and a connection, and perhaps a session.
type sender struct {
	from    net.IP
	to      string
	conn    net.Conn
	lines   *bufio.Reader
	session string
	others  []net.Conn
}

func (s *sender) dial() (net.Conn, error) {
	return (&net.Dialer{LocalAddr: &net.TCPAddr{IP: s.from}}).Dial("tcp", s.to)
}

func (s *sender) hangUp() {
	if s.conn != nil {
		_ = s.conn.Close()
		s.conn = nil
	}
}

// writes has a request go out, whose method target has, and reports whether it did.
func (s *sender) writes(target, body string, fields ...string) bool {
	if s.conn == nil {
		conn, err := s.dial()
		if err != nil {
			return false
		}
		s.conn, s.lines = conn, bufio.NewReader(conn)
	}
	_ = s.conn.SetDeadline(time.Now().Add(enoughTime))
	head := append([]string{target + " HTTP/1.1", "Host: " + s.to, "Content-Length: " + strconv.Itoa(len(body))}, fields...)
	_, err := io.WriteString(s.conn, strings.Join(head, "\r\n")+"\r\n\r\n"+body)
	return err == nil
}

// sends has a request go out, and says how it was answered.
func (s *sender) sends(target, body string, fields ...string) string {
	if !s.writes(target, body, fields...) {
		s.hangUp()
		return "not sent"
	}
	res, err := http.ReadResponse(s.lines, nil)
	if err != nil {
		s.hangUp()
		return "not answered"
	}
	text, err := io.ReadAll(res.Body)
	if err != nil || res.Close {
		s.hangUp()
	}
	if id := res.Header.Get("Mcp-Session-Id"); id != "" {
		s.session = id
	}
	switch {
	case strings.Contains(string(text), `"input_required"`):
		return "prompted"
	case strings.Contains(string(text), `"busy"`):
		return "busy"
	}
	return strconv.Itoa(res.StatusCode)
}

// messageTo returns how a request begins that has a message.
func messageTo(path, token, session, body string) (target string, fields []string) {
	fields = []string{"Authorization: Bearer " + token, "Content-Type: application/json", "Accept: application/json, text/event-stream"}
	if path == server.ModernPath {
		method, rest, _ := strings.Cut(body[strings.Index(body, `"method":"`)+10:], `"`)
		fields = append(fields, "MCP-Protocol-Version: 2026-07-28", "Mcp-Method: "+method)
		if method == "tools/call" {
			name, _, _ := strings.Cut(rest[strings.Index(rest, `"name":"`)+8:], `"`)
			fields = append(fields, "Mcp-Name: "+name)
		}
	} else if session != "" {
		fields = append(fields, "MCP-Protocol-Version: 2025-11-25", "Mcp-Session-Id: "+session)
	}
	return "POST " + path, fields
}

func (s *sender) posts(path, token, session, body string) string {
	target, fields := messageTo(path, token, session, body)
	return s.sends(target, body, fields...)
}

// hangsUp sends a message, and hangs up once its answer has begun.
func (s *sender) hangsUp(path, token, body string) string {
	defer s.hangUp()
	target, fields := messageTo(path, token, s.session, body)
	if !s.writes(target, body, fields...) {
		return "not sent"
	}
	first, err := s.lines.ReadString('\n')
	if err != nil {
		return "not answered"
	}
	return strings.TrimSpace(first)
}

// begins sends a message on a connection of its own, and waits for no answer. The oldest of many
// connections is hung up.
func (s *sender) begins(path, token, body string) string {
	target, fields := messageTo(path, token, "", body)
	s.conn = nil
	if !s.writes(target, body, fields...) {
		return "not sent"
	}
	if s.others = append(s.others, s.conn); len(s.others) > mostBegun {
		_ = s.others[0].Close()
		s.others = s.others[1:]
	}
	return "sent"
}

// isSlow opens one connection more, and does not go on with it.
func (s *sender) isSlow(n int) string {
	conn, err := s.dial()
	if err != nil {
		return "not opened"
	}
	s.others = append(s.others, conn) // which ends with the process
	body := list("")
	target, fields := messageTo(server.ModernPath, fmt.Sprint("name-", n%256), "", body)
	head := target + " HTTP/1.1\r\nHost: " + s.to + "\r\n" + strings.Join(fields, "\r\n") + "\r\n"
	_ = conn.SetDeadline(time.Now().Add(time.Second)) // until it takes no more
	switch n % 4 {
	case 0:
		return "says nothing"
	case 1:
		_, _ = io.WriteString(conn, head)
		return "half a head"
	case 2:
		_, _ = io.WriteString(conn, head+"Content-Length: 100000\r\n\r\n"+strings.Repeat(" ", 50_000))
		return "half a body"
	}
	_ = conn.(*net.TCPConn).SetReadBuffer(4096) //nolint:forcetypeassert // it was dialled as that
	_, _ = io.WriteString(conn, strings.Repeat(head+fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body), 2))
	return "reads nothing"
}
