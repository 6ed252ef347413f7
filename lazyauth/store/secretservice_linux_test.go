package store_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/godbus/dbus/v5"
)

// A secretService is a session bus with a Secret Service on it, and nothing else: enough
// of both for the library, which reaches it as it would reach a real one (D-Bus
// specification; freedesktop.org, Secret Service API Draft 0.2).
type secretService struct {
	collections []dbus.ObjectPath
	standard    dbus.ObjectPath                       // what the alias "default" stands for
	deny        func(destination, member string) bool // what a sandbox does
	unlock      string                                // "": unlocked; or a prompt that is: dismissed, ignored
	prompted    chan struct{}                         // closed when the first prompt is shown

	mu    sync.Mutex
	items map[dbus.ObjectPath]*secretItem
	next  int
}

type secretItem struct {
	attributes map[string]string
	secret     []any
}

const (
	secretsRoot = dbus.ObjectPath("/org/freedesktop/secrets")
	loginPath   = dbus.ObjectPath("/org/freedesktop/secrets/collection/login")
	noObject    = dbus.ObjectPath("/")
)

// listen returns the address of the bus, which ends with the test.
func (s *secretService) listen(t *testing.T) string {
	s.items, s.prompted = make(map[dbus.ObjectPath]*secretItem), make(chan struct{})
	l, err := net.Listen("unix", t.TempDir()+"/bus")
	must(t, l, err)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, conn)
			mu.Unlock()
			wg.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, conn := range open {
			conn.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return "unix:path=" + l.Addr().String()
}

func (s *secretService) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for begun := false; !begun; {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		reply := "ERROR"
		switch line = strings.Trim(line, "\x00\r\n"); {
		case line == "AUTH":
			reply = "REJECTED EXTERNAL"
		case line == "AUTH EXTERNAL":
			reply = "DATA"
		case strings.HasPrefix(line, "AUTH EXTERNAL "), strings.HasPrefix(line, "DATA"):
			reply = "OK 0123456789abcdef0123456789abcdef"
		case line == "BEGIN":
			begun = true
			continue
		}
		fmt.Fprintf(conn, "%s\r\n", reply)
	}
	serial := uint32(0)
	send := func(kind dbus.Type, headers map[dbus.HeaderField]any, body []any) {
		serial++
		message := dbus.Message{Type: kind, Headers: make(map[dbus.HeaderField]dbus.Variant), Body: body}
		for field, value := range headers {
			message.Headers[field] = dbus.MakeVariant(value)
		}
		if len(body) > 0 {
			message.Headers[dbus.FieldSignature] = dbus.MakeVariant(dbus.SignatureOf(body...))
		}
		var out bytes.Buffer
		if err := message.EncodeTo(&out, binary.LittleEndian); err != nil {
			panic(err)
		}
		binary.LittleEndian.PutUint32(out.Bytes()[8:], serial) // the library keeps it to itself
		conn.Write(out.Bytes())
	}
	for {
		call, err := dbus.DecodeMessage(in)
		if err != nil {
			return
		}
		text := func(field dbus.HeaderField) string {
			switch v := call.Headers[field].Value().(type) {
			case string:
				return v
			case dbus.ObjectPath:
				return string(v)
			}
			return ""
		}
		path, member := dbus.ObjectPath(text(dbus.FieldPath)), text(dbus.FieldMember)
		headers := map[dbus.HeaderField]any{dbus.FieldReplySerial: call.Serial()}
		if s.denies(text(dbus.FieldDestination), member) {
			headers[dbus.FieldErrorName] = "org.freedesktop.DBus.Error.AccessDenied"
			send(dbus.TypeError, headers, []any{"An AppArmor policy prevents this sender from sending this message to this recipient"})
			continue
		}
		body, failed := s.answer(path, member, call.Body)
		if failed != "" {
			headers[dbus.FieldErrorName] = failed
			send(dbus.TypeError, headers, []any{"as asked"})
			continue
		}
		send(dbus.TypeMethodReply, headers, body)
		if member == "Prompt" && s.unlock == "dismissed" {
			send(dbus.TypeSignal, map[dbus.HeaderField]any{
				dbus.FieldPath: path, dbus.FieldInterface: "org.freedesktop.Secret.Prompt", dbus.FieldMember: "Completed",
			}, []any{true, dbus.MakeVariant("")})
		}
	}
}

func (s *secretService) denies(destination, member string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.deny != nil && s.deny(destination, member)
}

// silence keeps the bus from answering until restore is called.
func (s *secretService) silence() (restore func(), err error) {
	s.mu.Lock()
	return s.mu.Unlock, nil
}

// readOnly keeps everybody from writing until restore is called.
func (s *secretService) readOnly() (restore func(), err error) {
	set := func(deny func(_, member string) bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.deny = deny
	}
	set(func(_, member string) bool { return member == "CreateItem" })
	return func() { set(nil) }, nil
}

// answer returns the body of an answer, or the name of an error.
func (s *secretService) answer(path dbus.ObjectPath, member string, args []any) (body []any, failed string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch member {
	case "Hello":
		return []any{":1.7"}, ""
	case "NameHasOwner":
		return []any{args[0] == "org.freedesktop.secrets"}, ""
	case "AddMatch", "RemoveMatch", "Close":
		return nil, ""
	case "ReadAlias":
		return []any{s.standard}, ""
	case "Get": // the property Collections
		return []any{dbus.MakeVariant(s.collections)}, ""
	case "OpenSession":
		return []any{dbus.MakeVariant(""), secretsRoot + "/session/1"}, ""
	case "Unlock":
		if s.unlock != "" {
			return []any{[]dbus.ObjectPath{}, secretsRoot + "/prompt/1"}, ""
		}
		unlocked := []dbus.ObjectPath{}
		for _, wanted := range args[0].([]dbus.ObjectPath) {
			if s.items[wanted] != nil || slices.Contains(s.collections, wanted) || s.standard != noObject && wanted == secretsRoot+"/aliases/default" {
				unlocked = append(unlocked, wanted)
			}
		}
		return []any{unlocked, noObject}, ""
	case "Prompt":
		select {
		case <-s.prompted:
		default:
			close(s.prompted)
		}
		return nil, ""
	case "SearchItems":
		found := []dbus.ObjectPath{}
		for path, item := range s.items {
			if maps.Equal(item.attributes, args[0].(map[string]string)) {
				found = append(found, path)
			}
		}
		return []any{found}, ""
	case "CreateItem":
		attributes := args[0].(map[string]dbus.Variant)["org.freedesktop.Secret.Item.Attributes"].Value().(map[string]string)
		maps.DeleteFunc(s.items, func(_ dbus.ObjectPath, item *secretItem) bool { return maps.Equal(item.attributes, attributes) })
		s.next++
		created := dbus.ObjectPath(fmt.Sprintf("%s/%d", path, s.next))
		s.items[created] = &secretItem{attributes, args[1].([]any)}
		return []any{created, noObject}, ""
	}
	item := s.items[path]
	switch {
	case item == nil:
		return nil, "org.freedesktop.Secret.Error.NoSuchObject"
	case member == "Delete":
		delete(s.items, path)
		return []any{noObject}, ""
	case member == "GetSecret":
		return []any{struct {
			Session    dbus.ObjectPath
			Parameters []byte
			Value      []byte
			Type       string
		}{args[0].(dbus.ObjectPath), nil, item.secret[2].([]byte), "text/plain"}}, ""
	}
	return nil, "org.freedesktop.DBus.Error.UnknownMethod"
}
