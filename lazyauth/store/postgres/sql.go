package postgres

import (
	"strings"

	"github.com/jackc/pgx/v5"
)

// statements are what the methods send, one each. "now" is the server's clock once the statement runs,
// and not now(), which stands still in a transaction. What a statement compares and what it changes
// is one step: an UPDATE that waited for another's looks at the row anew.
type statements struct {
	read, begin, write, keep, insert, remove string
	ofPerson, notSealedBy, notify, sweep     string
}

// clock is in front of every statement that needs the time, and columns are a row's, without its id.
const (
	clock   = `WITH c AS MATERIALIZED (SELECT clock_timestamp() AS now, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS micros)`
	columns = `r.person, r.generation, r.fence, r.owner, r.until, r.due, r.ends, r.sealed_by, r.content`
	there   = `(r.ends IS NULL OR r.ends > (SELECT now FROM c))`
)

// span is a parameter that holds microseconds from now; zero: never.
func span(param string) string {
	return `CASE WHEN ` + param + `::bigint > 0 THEN c.now + ` + param + `::bigint * interval '1 microsecond' END`
}

// spanOr is a span that leaves a column as it was if it is negative.
func spanOr(param, column string) string {
	return `CASE WHEN ` + param + `::bigint < 0 THEN ` + column + ` WHEN ` + param + `::bigint > 0 THEN c.now + ` + param + `::bigint * interval '1 microsecond' END`
}

func statementsFor(schema string) statements {
	rows := pgx.Identifier{schema, "rows"}.Sanitize()
	sql := func(text string) string { return strings.ReplaceAll(text, "ROWS", rows) }
	return statements{
		read: sql(clock + `
SELECT ` + columns + ` FROM ROWS r WHERE r.kind = $1::text AND r.key = $2::bytea AND ` + there),

		// What may be begun is decided by the row as the statement found it, and begun only if it is
		// still like that. There is no FOR UPDATE: who is refused writes nothing, and waits for nobody.
		// Parameters: 3 owner, 4 lease, 5 due, 6 if due, 7 person, 8 ends.
		begin: sql(clock + `,
old AS MATERIALIZED (
	SELECT ` + columns + `,
		(r.owner = '' OR r.owner = $3::text OR r.until <= c.now) AND (NOT $6::bool OR coalesce(r.due <= c.now, false)) AS may
	FROM ROWS r, c WHERE r.kind = $1::text AND r.key = $2::bytea AND ` + there + `
),
begun AS (
	UPDATE ROWS r SET fence = greatest(r.fence + 1, c.micros), owner = $3::text,
		until = c.now + $4::bigint * interval '1 microsecond', due = coalesce(` + span("$5") + `, r.due)
	FROM c, old
	WHERE r.kind = $1::text AND r.key = $2::bytea AND old.may
		AND r.fence = old.fence AND r.generation = old.generation AND r.owner = old.owner
		AND r.until IS NOT DISTINCT FROM old.until AND r.due IS NOT DISTINCT FROM old.due
	RETURNING r.fence
),
made AS (
	INSERT INTO ROWS AS r (kind, key, person, generation, fence, owner, until, due, ends, sealed_by, content)
	SELECT $1::text, $2::bytea, $7::bytea, 0, c.micros, $3::text, c.now + $4::bigint * interval '1 microsecond', ` + span("$5") + `, ` + span("$8") + `, '', NULL
	FROM c WHERE NOT $6::bool AND NOT EXISTS (SELECT FROM old)
	ON CONFLICT (kind, key) DO UPDATE SET person = excluded.person, generation = 0, fence = greatest(r.fence + 1, excluded.fence),
		owner = excluded.owner, until = excluded.until, due = excluded.due, ends = excluded.ends, sealed_by = '', content = NULL
	WHERE r.ends <= (SELECT now FROM c)
	RETURNING r.fence
)
SELECT coalesce(begun.fence, made.fence, 0), coalesce(r.may, NOT $6::bool), r.may IS NOT NULL, ` + columns + `
FROM c LEFT JOIN old r ON true LEFT JOIN begun ON true LEFT JOIN made ON true`),

		// Parameters: 3 fence, 4 generation, 5 person, 6 content, 7 sealed by, 8 due, 9 ends, 10 its generation, 11 release.
		write: sql(clock + `
UPDATE ROWS r SET person = $5::bytea, content = $6::bytea, sealed_by = $7::text, generation = $10::bigint,
	due = ` + spanOr("$8", "r.due") + `, ends = ` + spanOr("$9", "r.ends") + `,
	owner = CASE WHEN $11::bool THEN '' ELSE r.owner END, until = CASE WHEN $11::bool THEN NULL ELSE r.until END
FROM c WHERE r.kind = $1::text AND r.key = $2::bytea AND r.fence = $3::bigint AND r.generation = $4::bigint AND ` + there),

		keep: sql(clock + `
UPDATE ROWS r SET due = ` + spanOr("$5", "r.due") + `, owner = '', until = NULL
FROM c WHERE r.kind = $1::text AND r.key = $2::bytea AND r.fence = $3::bigint AND r.generation = $4::bigint AND ` + there),

		// Parameters: 3 person, 4 content, 5 sealed by, 6 due, 7 ends, 8 generation.
		insert: sql(clock + `
INSERT INTO ROWS AS r (kind, key, person, generation, fence, owner, until, due, ends, sealed_by, content)
SELECT $1::text, $2::bytea, $3::bytea, $8::bigint, c.micros, '', NULL, ` + span("$6") + `, ` + span("$7") + `, $5::text, $4::bytea FROM c
ON CONFLICT (kind, key) DO UPDATE SET person = excluded.person, generation = excluded.generation, fence = greatest(r.fence + 1, excluded.fence),
	owner = '', until = NULL, due = excluded.due, ends = excluded.ends, sealed_by = excluded.sealed_by, content = excluded.content
WHERE r.ends <= (SELECT now FROM c)`),

		remove: sql(`DELETE FROM ROWS r WHERE r.kind = $1::text AND r.key = $2::bytea`),

		ofPerson: sql(clock + `
SELECT r.kind, r.key FROM ROWS r
WHERE r.person = $1::bytea AND (r.kind, r.key) > ($2::text, $3::bytea) AND ` + there + `
ORDER BY r.kind, r.key LIMIT $4::bigint`),

		// Not <>, which no index is used for: at a rotation's end few rows are left.
		notSealedBy: sql(clock + `
SELECT r.kind, r.key FROM ROWS r
WHERE r.sealed_by <> '' AND (r.sealed_by < $1::text OR r.sealed_by > $1::text) AND (r.kind, r.key) > ($2::text, $3::bytea) AND ` + there + `
ORDER BY r.kind, r.key LIMIT $4::bigint`),

		notify: `SELECT pg_notify($1::text, hint) FROM unnest($2::text[]) AS hint`,

		sweep: sql(`
DELETE FROM ROWS r USING (
	SELECT o.kind, o.key FROM ROWS o WHERE o.ends <= (SELECT clock_timestamp()) ORDER BY o.ends LIMIT $1::bigint FOR UPDATE SKIP LOCKED
) old WHERE r.kind = old.kind AND r.key = old.key`),
	}
}
