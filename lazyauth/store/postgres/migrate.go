package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// A step of the schema, which is applied once and never changed. One that expands is for this release
// and leaves alone those before it; one that contracts takes away what only releases before need, comes
// a release later, and is noted as such, so that these find out.
type step struct {
	version int
	what    string
	sql     string // SCHEMA stands for the schema
}

var steps = []step{{1, "the table of rows and its indexes", `
CREATE TABLE SCHEMA.rows (
	kind text COLLATE "C" NOT NULL,
	key bytea NOT NULL,
	person bytea,
	generation bigint NOT NULL,
	fence bigint NOT NULL,
	owner text COLLATE "C" NOT NULL,
	until timestamptz,
	due timestamptz,
	ends timestamptz,
	sealed_by text COLLATE "C" NOT NULL,
	content bytea,
	PRIMARY KEY (kind, key)
);
ALTER TABLE SCHEMA.rows ALTER COLUMN content SET STORAGE EXTERNAL; -- what is sealed cannot be compressed
CREATE INDEX rows_person ON SCHEMA.rows (person, kind, key) WHERE person IS NOT NULL;
CREATE INDEX rows_sealed_by ON SCHEMA.rows (sealed_by) WHERE sealed_by <> '';
CREATE INDEX rows_ends ON SCHEMA.rows (ends) WHERE ends IS NOT NULL;
`}}

// migrateTimeout is more than the server gives each of the statements.
const migrateTimeout = 15 * time.Minute

const noted = `
CREATE TABLE IF NOT EXISTS SCHEMA.steps (
	version int PRIMARY KEY,
	contracts bool NOT NULL,
	applied timestamptz NOT NULL DEFAULT clock_timestamp()
);
`

// SQL returns the statements that make a new schema, for whoever is to run them by hand. Empty means
// the schema "lazyauth".
func SQL(schema string) (string, error) {
	if schema == "" {
		schema = "lazyauth"
	}
	if !isSchema(schema) {
		return "", fmt.Errorf("postgres: %q is not 1 to 48 lowercase letters, digits and underscores", schema)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "BEGIN;\nCREATE SCHEMA IF NOT EXISTS %s;\n%s", quoted(schema), strings.TrimPrefix(in(schema, noted), "\n"))
	for _, s := range steps {
		fmt.Fprintf(&b, "-- %d: %s\n%sINSERT INTO %s.steps (version, contracts) VALUES (%d, false);\n", s.version, s.what, strings.TrimPrefix(in(schema, s.sql), "\n"), quoted(schema), s.version)
	}
	b.WriteString("COMMIT;\n")
	return b.String(), nil
}

func quoted(schema string) string { return pgx.Identifier{schema}.Sanitize() }

func in(schema, sql string) string { return strings.ReplaceAll(sql, "SCHEMA", quoted(schema)) }

// Missing says what of the schema is not there, and alters nothing. It fails if a later release has
// taken away what this one needs.
func (d *DB) Missing(ctx context.Context) (missing []string, err error) {
	var there, may bool
	// A schema that may not be used looks like one without tables.
	if _, err := d.one(ctx, reads, `SELECT count(c.oid) > 0, coalesce(bool_and(has_schema_privilege(n.oid, 'USAGE')), true)
		FROM pg_namespace n LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = 'steps'
		WHERE n.nspname = $1::text`, []any{d.schema}, &there, &may); err != nil {
		return nil, err
	}
	if !may {
		return nil, d.trouble(store.ErrUnavailable, advices["42501"].text, nil)
	}
	var applied []int32
	if there {
		var contracted int32
		if _, err := d.one(ctx, reads, in(d.schema, `SELECT coalesce(array_agg(version ORDER BY version), '{}'),
			coalesce(max(version) FILTER (WHERE contracts), 0) FROM SCHEMA.steps`), nil, &applied, &contracted); err != nil {
			return nil, err
		}
		if int(contracted) > steps[len(steps)-1].version {
			return nil, d.trouble(store.ErrUnavailable, "a later release has removed what this one needs: run the later one", nil)
		}
	}
	for _, s := range steps {
		if !slices.Contains(applied, int32(s.version)) {
			missing = append(missing, s.what)
		}
	}
	return missing, nil
}

// Migrate makes what is missing in the schema, in one transaction, and says what that was. Several may
// run it at once: one waits for the other. Its user must be allowed to make tables in the schema, and to
// make the schema itself if there is none.
func (d *DB) Migrate(ctx context.Context) (did []string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, migrateTimeout, errors.New("a migration takes a quarter of an hour at most"))
	defer cancel()
	if _, err := d.Missing(ctx); err != nil { // of a later release
		return nil, err
	}
	conn, err := d.pool.Acquire(ctx)
	if err != nil {
		return nil, d.failed(ctx, err)
	}
	defer conn.Release()
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		// The settings and the lock are the transaction's, as a pooler has it.
		for _, sql := range []string{
			`SET LOCAL statement_timeout = '10min'`,
			`SET LOCAL lock_timeout = '30s'`,
			`SELECT pg_advisory_xact_lock(hashtextextended('lazyauth migrate ` + d.schema + `', 0))`,
		} {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return err
			}
		}
		did, err = d.apply(ctx, tx)
		return err
	})
	if err != nil {
		return nil, d.failed(ctx, err)
	}
	return did, nil
}

func (d *DB) apply(ctx context.Context, tx pgx.Tx) (did []string, err error) {
	var there bool
	if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1::text)`, d.schema).Scan(&there); err != nil {
		return nil, err
	}
	if !there { // it is a privilege of its own
		if _, err := tx.Exec(ctx, "CREATE SCHEMA "+quoted(d.schema)); err != nil {
			return nil, err
		}
	}
	if _, err := tx.Exec(ctx, in(d.schema, noted), pgx.QueryExecModeSimpleProtocol); err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, in(d.schema, `SELECT version FROM SCHEMA.steps`))
	if err != nil {
		return nil, err
	}
	applied, err := pgx.CollectRows(rows, pgx.RowTo[int32])
	if err != nil {
		return nil, err
	}
	for _, s := range steps {
		if slices.Contains(applied, int32(s.version)) {
			continue
		}
		if _, err := tx.Exec(ctx, in(d.schema, s.sql), pgx.QueryExecModeSimpleProtocol); err != nil { // several statements
			return nil, err
		}
		if _, err := tx.Exec(ctx, in(d.schema, `INSERT INTO SCHEMA.steps (version, contracts) VALUES ($1::int, false)`), s.version); err != nil {
			return nil, err
		}
		did = append(did, s.what)
	}
	return did, nil
}
