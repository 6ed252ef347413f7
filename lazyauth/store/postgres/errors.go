package postgres

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/internal/fault"
)

const migrateAdvice = "run go run github.com/lazyauth/mcp-lazyauth/lazyauth/store/postgres/cmd/migrate, or DB.Migrate, as a user who may make tables"

// errSlow is the cause of a context that ends by Options.Timeout.
var errSlow = errors.New("the statement took longer than Options.Timeout")

func (d *DB) trouble(is error, text string, cause error) error {
	return &fault.Error{Where: d.where, Is: is, Text: text, Cause: cause}
}

// An advice is what a condition of the server means here. Source: PostgreSQL 15, appendix A (error codes).
type advice struct {
	is   error
	text string
}

var advices = map[string]advice{
	"08P01": {store.ErrUnavailable, "the server refuses how it is spoken to: if it is a pooler, set Options.Pooled"},
	"25006": {store.ErrUnwritable, "the server is read-only: a standby, or default_transaction_read_only is on; let the URL name the primary, or all servers and target_session_attrs=read-write"},
	"28000": {store.ErrUnavailable, "the server does not let this user in: look at the user in the URL, and at pg_hba.conf"},
	"28P01": {store.ErrUnavailable, "the server refuses the password: look at the URL, or at PGPASSFILE"},
	"3D000": {store.ErrUnavailable, "there is no such database: look at the URL, or create it"},
	"3F000": {store.ErrUnavailable, "there is no such schema: " + migrateAdvice},
	"42501": {store.ErrUnavailable, "the user may not do that: grant it USAGE of the schema, and SELECT, INSERT, UPDATE and DELETE of its tables"},
	"42703": {store.ErrUnavailable, "a column is missing: " + migrateAdvice},
	"42P01": {store.ErrUnavailable, "a table is missing: " + migrateAdvice},
	"53100": {store.ErrUnwritable, "the server's disk is full"},
	"53200": {store.ErrNoAnswer, "the server is out of memory"},
	"53300": {store.ErrNoAnswer, "the server has no connection left: lower pool_max_conns in the URLs, raise max_connections, or put a pooler in between"},
	"55P03": {store.ErrNoAnswer, "another session holds a lock: a migration, perhaps"},
	"57014": {store.ErrNoAnswer, "the server ended the statement, which took longer than statement_timeout"},
	"57P01": {store.ErrNoAnswer, "the server is being shut down"},
	"57P02": {store.ErrNoAnswer, "the server has crashed, and restarts"},
	"57P03": {store.ErrNoAnswer, "the server is starting or stopping"},
}

// classes are for what is not among advices.
var classes = map[string]advice{
	"08": {store.ErrNoAnswer, "the connection was lost"},
	"28": {store.ErrUnavailable, "the server does not let this user in"},
	"40": {store.ErrNoAnswer, "it collided with others, again and again"},
	"53": {store.ErrNoAnswer, "the server lacks resources"},
	"57": {store.ErrNoAnswer, "an operator of the server, or its end, came in between"},
	"58": {store.ErrNoAnswer, "the server's disk or system fails: look into its log"},
}

// failed translates an error of pgx, of which only what is known to hold nothing of a row is repeated.
func (d *DB) failed(ctx context.Context, err error) error {
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		if a, ok := adviceFor(pg.Code); ok {
			return d.trouble(a.is, fmt.Sprintf("%s (SQLSTATE %s: %s)", a.text, pg.Code, fault.Shown(pg.Message)), nil)
		}
		return d.trouble(nil, "the server refuses the statement (SQLSTATE "+fault.Shown(pg.Code)+")", nil)
	}
	if ctx.Err() != nil {
		return d.trouble(store.ErrNoAnswer, "the server did not answer in time", context.Cause(ctx))
	}
	text := err.Error()
	var certificate *tls.CertificateVerificationError
	switch _, isConnect := errors.AsType[*pgconn.ConnectError](err); {
	case errors.As(err, &certificate):
		return d.trouble(store.ErrUnavailable, "the server's certificate is not that of this name, or by an authority that is not trusted here: name its authority by sslrootcert in the URL", nil)
	case strings.Contains(text, "refused TLS"):
		return d.trouble(store.ErrUnavailable, "the server has no TLS: switch it on there; sslmode=disable in the URL lets whoever is on the network in between read and alter everything", nil)
	case strings.Contains(text, "read only"), strings.Contains(text, "hot standby"):
		return d.trouble(store.ErrUnwritable, "all servers in the URL are read-only", nil)
	case isConnect:
		return d.trouble(store.ErrNoAnswer, "there is no connection to it ("+network(err)+"): does it run, and may this machine reach it?", nil)
	}
	return d.trouble(store.ErrNoAnswer, "the connection was lost ("+network(err)+")", nil)
}

func adviceFor(code string) (advice, bool) {
	if a, ok := advices[code]; ok {
		return a, true
	}
	if len(code) != 5 {
		return advice{}, false
	}
	a, ok := classes[code[:2]]
	return a, ok
}

// network is what an error of the network says by itself.
func network(err error) string {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return fault.Shown(op.Err.Error())
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return fault.Shown(dns.Err)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "ended by the other side"
	}
	return "no answer"
}

// retry returns how long to wait before the statement is tried again; less than 0: it is not.
func retry(err error, w work, tries int) time.Duration {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		if (pg.Code == "40001" || pg.Code == "40P01") && tries < 8 { // it has changed nothing
			return time.Duration(tries) * 10 * time.Millisecond
		}
		if pg.Code == "57P01" && w == reads && tries < 2 { // that session is over; another may live
			return 0
		}
		return -1
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok || tries >= 6 {
		return -1
	}
	// Connections that had ended meanwhile, of which the pool may have several.
	if w == reads || pgconn.SafeToRetry(err) {
		return 0
	}
	return -1
}
