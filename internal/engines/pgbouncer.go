package engines

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// PgBouncer is a pooler in transaction mode in front of a [Postgres].
type PgBouncer struct {
	port    *Port
	server  *Postgres
	process *process
}

// StartPgBouncer starts one that keeps its files in dir, with two sessions of the server for all clients.
func StartPgBouncer(ctx context.Context, dir string, server *Postgres) (*PgBouncer, error) {
	path, err := find("pgbouncer", "pgbouncer", "/usr/sbin/pgbouncer")
	if err != nil {
		return nil, err
	}
	who, err := unprivileged("postgres", "nobody")
	if err != nil {
		return nil, err
	}
	if who != nil {
		if err := reachable(dir); err != nil {
			return nil, err
		}
	}
	b := &PgBouncer{server: server}
	if b.port, err = NewPort(); err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(server.Addr())
	if err != nil {
		return nil, err
	}
	users := filepath.Join(dir, "users")
	settings := filepath.Join(dir, "pgbouncer.ini")
	for file, text := range map[string]string{
		users: fmt.Sprintf("\"lazyauth\" \"%s\"\n", server.password),
		settings: strings.Join([]string{
			"[databases]",
			fmt.Sprintf("* = host=%s port=%s", host, port),
			"[pgbouncer]",
			"listen_addr = 127.0.0.1",
			fmt.Sprintf("listen_port = %d", b.port.number),
			"unix_socket_dir =",
			"auth_type = scram-sha-256",
			"auth_file = " + users,
			"pool_mode = transaction",
			"default_pool_size = 2",
			"max_client_conn = 200",
			"server_round_robin = 1", // every statement in another session
			"",
		}, "\n"),
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return nil, err
		}
		if err := who.give(file); err != nil {
			return nil, err
		}
	}
	if err := who.give(dir); err != nil {
		return nil, err
	}
	if b.process, err = run(who, dir, path, settings); err != nil {
		return nil, err
	}
	return b, b.process.whenReady(ctx, listening(b.port.Addr()))
}

// URL names a database behind it.
func (b *PgBouncer) URL(database string) string {
	return (&url.URL{Scheme: "postgres", User: url.UserPassword("lazyauth", b.server.password), Host: b.port.Addr(), Path: "/" + database}).String()
}

// Stop ends it.
func (b *PgBouncer) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return b.process.signal(ctx, syscall.SIGTERM)
}
