package engines

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Postgres is a PostgreSQL server, with a user "lazyauth" who may do everything.
type Postgres struct {
	dir, data, bin string
	port           *Port
	password       string
	settings       []string
	who            *account
	process        *process
}

// StartPostgres makes a cluster in dir, an empty folder, and starts its server. Settings are like
// "max_connections=20".
func StartPostgres(ctx context.Context, dir string, settings ...string) (*Postgres, error) {
	server, err := find("postgres", "postgresql", "/usr/lib/postgresql/*/bin/postgres", "/opt/homebrew/opt/postgresql*/bin/postgres")
	if err != nil {
		return nil, err
	}
	if server, err = filepath.EvalSymlinks(server); err != nil { // what belongs to it is beside it
		return nil, err
	}
	p := &Postgres{dir: dir, data: filepath.Join(dir, "data"), bin: filepath.Dir(server), password: password(), settings: settings}
	if p.who, err = unprivileged("postgres", "nobody"); err != nil {
		return nil, err
	}
	if p.who != nil {
		if err := reachable(dir); err != nil {
			return nil, err
		}
	}
	if p.port, err = NewPort(); err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "password")
	if err := os.WriteFile(file, []byte(p.password), 0o600); err != nil {
		return nil, err
	}
	if err := p.who.give(dir, file); err != nil {
		return nil, err
	}
	if err := p.tool(ctx, "initdb", "--no-sync", "--auth=scram-sha-256", "--pwfile="+file,
		"--username=lazyauth", "--encoding=UTF8", "--locale=C", p.data); err != nil {
		return nil, err
	}
	return p, p.Start(ctx)
}

// Start starts the server again, after Kill or Stop, on the same port.
func (p *Postgres) Start(ctx context.Context) error {
	args := []string{"-D", p.data}
	for _, s := range append([]string{
		fmt.Sprintf("port=%d", p.port.number), "listen_addresses=127.0.0.1", "unix_socket_directories=",
		"shared_buffers=16MB", "max_connections=40", "log_min_messages=warning", "logging_collector=off",
	}, p.settings...) {
		args = append(args, "-c", s)
	}
	// What a killed server has left behind may hold its memory for a moment.
	for began := time.Now(); ; {
		var err error
		if p.process, err = run(p.who, p.dir, filepath.Join(p.bin, "postgres"), args...); err != nil {
			return err
		}
		if err = p.process.whenReady(ctx, p.ready); err == nil || p.process.running() || time.Since(began) > patience {
			return err
		}
		if !strings.Contains(err.Error(), "still in use") && !strings.Contains(err.Error(), "Address already in use") && !strings.Contains(err.Error(), "another server") {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (p *Postgres) ready(ctx context.Context) error {
	return exec.CommandContext(ctx, filepath.Join(p.bin, "pg_isready"), "-q", "-h", "127.0.0.1", "-p", fmt.Sprint(p.port.number)).Run() //nolint:gosec // where PostgreSQL is installed
}

// Addr is where it listens.
func (p *Postgres) Addr() string { return p.port.Addr() }

// Dir is the folder with its files.
func (p *Postgres) Dir() string { return p.dir }

// Own hands files to the account that runs the server.
func (p *Postgres) Own(paths ...string) error { return p.who.give(paths...) }

// URL names a database by an address, which may be that of a [Link]; empty means its own.
func (p *Postgres) URL(addr, database string) string {
	if addr == "" {
		addr = p.Addr()
	}
	return (&url.URL{Scheme: "postgres", User: url.UserPassword("lazyauth", p.password), Host: addr, Path: "/" + database}).String()
}

// Password is that of the user "lazyauth".
func (p *Postgres) Password() string { return p.password }

// Kill ends the server as a crash does: nothing is written any more.
func (p *Postgres) Kill(ctx context.Context) error { return p.end(ctx, syscall.SIGKILL) }

// Stop ends the server, and its connections.
func (p *Postgres) Stop(ctx context.Context) error { return p.end(ctx, syscall.SIGINT) }

func (p *Postgres) end(ctx context.Context, sig syscall.Signal) error {
	if p.process == nil {
		return errStopped
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := p.process.signal(ctx, sig)
	p.process = nil
	return err
}
