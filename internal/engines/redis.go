package engines

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Redis is a Redis or Valkey server.
type Redis struct {
	dir, path string
	port      *Port
	password  string
	settings  []string
	process   *process
}

// StartRedis starts a server that keeps its files in dir. Settings are like "appendonly yes".
func StartRedis(ctx context.Context, dir string, settings ...string) (*Redis, error) {
	path, err := find("redis-server", "redis-server")
	if err != nil {
		if path, err = find("valkey-server", "redis-server"); err != nil {
			return nil, err
		}
	}
	r := &Redis{dir: dir, path: path, password: password(), settings: settings}
	if r.port, err = NewPort(); err != nil {
		return nil, err
	}
	return r, r.Start(ctx)
}

// Start starts the server again, after Kill or Stop, on the same port.
func (r *Redis) Start(ctx context.Context) error {
	lines := append([]string{
		fmt.Sprintf("port %d", r.port.number), "bind 127.0.0.1", "daemonize no", `save ""`, "shutdown-timeout 1", "repl-diskless-sync-delay 0",
		"requirepass " + r.password, "masterauth " + r.password, // which its replicas have, too
	}, r.settings...)
	file := filepath.Join(r.dir, "redis.conf") // not in the arguments, which others can read
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		return err
	}
	var err error
	if r.process, err = run(nil, r.dir, r.path, file); err != nil {
		return err
	}
	return r.process.whenReady(ctx, func(ctx context.Context) error {
		_, err := r.Do(ctx, "PING")
		return err
	})
}

// Do sends a command of words without spaces, and returns the first line of the answer.
func (r *Redis) Do(ctx context.Context, words ...string) (string, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", r.Addr())
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return "", err
		}
	}
	if _, err := fmt.Fprintf(conn, "AUTH %s\r\n%s\r\n", r.password, strings.Join(words, " ")); err != nil {
		return "", err
	}
	answers := bufio.NewReader(conn)
	if line, err := answers.ReadString('\n'); err != nil || !strings.HasPrefix(line, "+OK") {
		return "", fmt.Errorf("engines: %s %w", strings.TrimSpace(line), err)
	}
	line, err := answers.ReadString('\n')
	line = strings.TrimSpace(line)
	if err == nil && strings.HasPrefix(line, "-") {
		return "", errors.New("engines: " + line)
	}
	return line, err
}

// Addr is where it listens.
func (r *Redis) Addr() string { return r.port.Addr() }

// URL names it by an address, which may be that of a [Link]; empty means its own.
func (r *Redis) URL(addr string) string {
	if addr == "" {
		addr = r.Addr()
	}
	return (&url.URL{Scheme: "redis", User: url.UserPassword("", r.password), Host: addr}).String()
}

// Password is that of the default user.
func (r *Redis) Password() string { return r.password }

// Follow makes it a replica of another, which may be behind a [Link], and takes that one's password. It returns once it has what
// the other one has.
func (r *Redis) Follow(ctx context.Context, primary *Redis, addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	if _, err := r.Do(ctx, "CONFIG", "SET", "masterauth", primary.password); err != nil {
		return err
	}
	if _, err := r.Do(ctx, "CONFIG", "SET", "requirepass", primary.password); err != nil {
		return err
	}
	r.password = primary.password
	if _, err = r.Do(ctx, "REPLICAOF", host, port); err != nil {
		return err
	}
	return r.process.whenReady(ctx, func(ctx context.Context) error { // until then it answers that it loads what the other one has
		follows, err := r.Do(ctx, "EVAL", `"return string.match(redis.call([[INFO]], [[replication]]), [[master_link_status:up]]) and 1 or 0"`, "0")
		if err == nil && follows != ":1" {
			err = errors.New("engines: it does not follow")
		}
		return err
	})
}

// Promote makes it a primary.
func (r *Redis) Promote(ctx context.Context) error {
	_, err := r.Do(ctx, "REPLICAOF", "NO", "ONE")
	return err
}

// Kill ends the server as a crash does: nothing is written any more.
func (r *Redis) Kill(ctx context.Context) error { return r.end(ctx, syscall.SIGKILL) }

// Stop ends the server.
func (r *Redis) Stop(ctx context.Context) error { return r.end(ctx, syscall.SIGTERM) }

func (r *Redis) end(ctx context.Context, sig syscall.Signal) error {
	if r.process == nil {
		return errStopped
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := r.process.signal(ctx, sig)
	r.process = nil
	return err
}
