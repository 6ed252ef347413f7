package redis

import (
	"context"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/valkey-io/valkey-go"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// run has a script answer, within the time that there is. One that only reads is sent again if the
// connection was lost: there are several, which may all have ended meanwhile.
func (d *DB) run(ctx context.Context, script *valkey.Lua, reads bool, key string, args ...string) (valkey.ValkeyMessage, error) {
	if ctx.Err() != nil {
		return valkey.ValkeyMessage{}, context.Cause(ctx)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, d.timeout, errSlow)
	defer cancel()
	args = append([]string{d.prefix}, args...)
	for tries := 1; ; tries++ {
		answer, err := script.Exec(ctx, d.client, []string{d.prefix + key}, args).ToMessage()
		if err == nil {
			return answer, nil
		}
		server, refused := valkey.IsValkeyErr(err)
		if refused && strings.HasPrefix(server.Error(), "READONLY") && d.connections.leave() {
			// Until the client has found out: a write that comes next, and met what was ended here, would be in doubt.
			_, _ = d.run(ctx, scriptNow, true, "now")
		}
		if refused || !reads || tries > 5 || ctx.Err() != nil || isDial(err) {
			return answer, d.failed(ctx, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(tries) * 5 * time.Millisecond):
		}
	}
}

// errAnswer is for what no script here returns.
var errAnswer = errors.New("redis: the server's answer is not one of the script's")

// Now implements [store.Shared].
func (d *DB) Now(ctx context.Context) (time.Time, error) {
	answer, err := d.run(ctx, scriptNow, true, "now")
	if err != nil {
		return time.Time{}, err
	}
	text, err := answer.ToString()
	if err != nil {
		return time.Time{}, errAnswer
	}
	return at(text)
}

// at is a time of the server's clock; zero if there is none.
func at(micros string) (time.Time, error) {
	n, err := strconv.ParseInt(micros, 10, 64)
	if err != nil {
		return time.Time{}, errAnswer
	}
	if n == 0 {
		return time.Time{}, nil
	}
	return time.UnixMicro(n).UTC(), nil
}

// rowOf reads what view in the scripts returns; nil if there is no row.
func rowOf(id store.ID, answer valkey.ValkeyMessage) (*store.Row, error) {
	fields, err := answer.ToArray()
	if err != nil || len(fields) != 0 && len(fields) != 9 {
		return nil, errAnswer
	}
	if len(fields) == 0 {
		return nil, nil //nolint:nilnil // there is none
	}
	var text [8]string
	for i := range text {
		if text[i], err = fields[i].ToString(); err != nil {
			return nil, errAnswer
		}
	}
	r := &store.Row{ID: id, Owner: text[3], SealedBy: text[7]}
	person, err1 := hashOf(text[0])
	generation, err2 := strconv.ParseUint(text[1], 10, 64)
	fence, err3 := strconv.ParseUint(text[2], 10, 64)
	until, err4 := at(text[4])
	due, err5 := at(text[5])
	ends, err6 := at(text[6])
	if errors.Join(err1, err2, err3, err4, err5, err6) != nil {
		return nil, errAnswer
	}
	r.Person, r.Generation, r.Fence, r.Until, r.Due, r.Ends = person, generation, fence, until, due, ends
	if !fields[8].IsNil() {
		content, err := fields[8].ToString()
		if err != nil {
			return nil, errAnswer
		}
		r.Content = []byte(content)
	}
	return r, nil
}

// Read implements [store.Shared].
func (d *DB) Read(ctx context.Context, id store.ID) (*store.Row, error) {
	name := nameOf(id)
	answer, err := d.run(ctx, scriptRead, true, "row:"+name, name)
	if err != nil {
		return nil, err
	}
	return rowOf(id, answer)
}

// Begin implements [store.Shared].
func (d *DB) Begin(ctx context.Context, id store.ID, a store.Attempt) (before *store.Row, fence uint64, err error) {
	if err := store.CheckAttempt(id, a); err != nil {
		return nil, 0, err
	}
	name := nameOf(id)
	answer, err := d.run(ctx, scriptBegin, false, "row:"+name, name, a.Owner, micros(a.Lease), micros(a.Due), flag(a.IfDue), text(a.Person), micros(a.Ends))
	if err != nil {
		return nil, 0, err
	}
	parts, err := answer.ToArray()
	if err != nil || len(parts) != 2 {
		return nil, 0, errAnswer
	}
	begun, err := parts[0].ToString()
	if err != nil {
		return nil, 0, errAnswer
	}
	if fence, err = strconv.ParseUint(begun, 10, 64); err != nil {
		return nil, 0, errAnswer
	}
	if before, err = rowOf(id, parts[1]); err != nil {
		return nil, 0, err
	}
	return before, fence, nil
}

// Write implements [store.Shared].
func (d *DB) Write(ctx context.Context, id store.ID, fence, generation uint64, c store.Change) (written bool, err error) {
	if err := store.CheckChange(id, generation, c); err != nil {
		return false, err
	}
	name := nameOf(id)
	return d.changes(ctx, scriptWrite, name, name, number(fence), number(generation), text(c.Person), flag(c.Content != nil), string(c.Content),
		c.SealedBy, micros(c.Due), micros(c.Ends), number(c.Generation), flag(c.Release), flag(c.Keep))
}

// Insert implements [store.Shared].
func (d *DB) Insert(ctx context.Context, id store.ID, c store.Change) (inserted bool, err error) {
	if err := store.CheckInsert(id, c); err != nil {
		return false, err
	}
	name := nameOf(id)
	return d.changes(ctx, scriptInsert, name, name, text(c.Person), flag(c.Content != nil), string(c.Content), c.SealedBy, micros(c.Due), micros(c.Ends), number(c.Generation))
}

// Delete implements [store.Shared].
func (d *DB) Delete(ctx context.Context, id store.ID) error {
	name := nameOf(id)
	_, err := d.changes(ctx, scriptDelete, name, name)
	return err
}

// changes has a script change the row of this name, and reports whether it did.
func (d *DB) changes(ctx context.Context, script *valkey.Lua, name string, args ...string) (changed bool, err error) {
	answer, err := d.run(ctx, script, false, "row:"+name, args...)
	if err != nil {
		return false, err
	}
	n, err := answer.ToInt64()
	if err != nil {
		return false, errAnswer
	}
	return n == 1, nil
}

// nameOf is an id in the keys: in the order of ids, since a colon is less than a letter.
func nameOf(id store.ID) string { return id.Kind + ":" + hex.EncodeToString(id.Key[:]) }

// idOf reverses nameOf.
func idOf(name string) (store.ID, error) {
	kind, key, _ := strings.Cut(name, ":")
	h, err := hashOf(key)
	if err != nil || key == "" {
		return store.ID{}, errAnswer
	}
	return store.ID{Kind: kind, Key: h}, nil
}

// text is empty for nobody.
func text(h store.Hash) string {
	if h == (store.Hash{}) {
		return ""
	}
	return hex.EncodeToString(h[:])
}

func hashOf(text string) (h store.Hash, err error) {
	if text == "" {
		return h, nil
	}
	if len(text) != 2*store.HashSize {
		return h, errAnswer
	}
	_, err = hex.Decode(h[:], []byte(text))
	return h, err
}

// micros is a span in microseconds. None becomes zero, and what is negative stays so.
func micros(span time.Duration) string {
	switch {
	case span < 0:
		return "-1"
	case span == 0:
		return "0"
	}
	return strconv.FormatInt(max(span.Microseconds(), 1), 10)
}

func number(n uint64) string { return strconv.FormatUint(n, 10) }

func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}
