package engines

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
)

// Standby starts an asynchronous standby in dir, an empty folder, that follows p by an address, which
// may be that of a [Link].
func (p *Postgres) Standby(ctx context.Context, dir, addr string) (*Postgres, error) {
	s := &Postgres{dir: dir, data: filepath.Join(dir, "data"), bin: p.bin, password: p.password, settings: p.settings, who: p.who}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	if s.who != nil {
		if err := reachable(dir); err != nil {
			return nil, err
		}
	}
	if s.port, err = NewPort(); err != nil {
		return nil, err
	}
	if err := s.who.give(dir); err != nil {
		return nil, err
	}
	if err := s.tool(ctx, "pg_basebackup", "-h", host, "-p", port, "-U", "lazyauth", "-D", s.data, "-R", "-X", "stream", "-c", "fast", "--no-sync"); err != nil {
		return nil, err
	}
	return s, s.Start(ctx)
}

// Promote makes a standby a primary.
func (p *Postgres) Promote(ctx context.Context) error {
	return p.tool(ctx, "pg_ctl", "promote", "-w", "-D", p.data)
}

// tool runs one of PostgreSQL's programs to its end.
func (p *Postgres) tool(ctx context.Context, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(p.bin, name), args...) //nolint:gosec // where PostgreSQL is installed
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "PGPASSWORD="+p.password)
	cmd.SysProcAttr = attributes(p.who)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("engines: %s: %w: %s", name, err, out)
	}
	return nil
}
