package redis_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/internal/enginetest"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/redis"
)

// A server that evicts is refused, at the start and when its readiness is asked for.
func TestOpen_Evicts(t *testing.T) {
	p := newPlace(t, server)
	db := p.open()
	for _, policy := range []string{"allkeys-lru", "volatile-ttl"} {
		do(t, server, "CONFIG", "SET", "maxmemory-policy", policy)
		t.Cleanup(func() { do(t, server, "CONFIG", "SET", "maxmemory-policy", "noeviction") })
		_, err := redis.Open(t.Context(), p.url, &p.opts)
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: Open: %v; want an ErrUnavailable", policy, err)
		}
		wantAdvice(t, err, policy, "noeviction")
		if err := db.Check(t.Context()); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: Check: %v", policy, err)
		}
	}
}

// asUser is a URL for another user of the server, who is given these rights.
func asUser(t *testing.T, p *place, name string, rights ...string) string {
	t.Helper()
	do(t, server, append([]string{"ACL", "SETUSER", name, "on", ">hunter2"}, rights...)...)
	t.Cleanup(func() { do(t, server, "ACL", "DELUSER", name) })
	return strings.Replace(p.url, ":"+server.Password()+"@", name+":hunter2@", 1)
}

// A server that forbids CONFIG, as those of some providers do, tells by INFO; one that tells by neither is
// refused unless the author says that it does not evict.
func TestOpen_Forbidden(t *testing.T) {
	p := newPlace(t, server)
	url := asUser(t, p, "noconfig", "~*", "&*", "+@all", "-config")
	db, err := redis.Open(t.Context(), url, &p.opts)
	if err != nil {
		t.Fatal(err)
	}
	if losses, err := db.Losses(t.Context()); err != nil || losses != store.LosesUnknown {
		t.Errorf("Losses: %v, %v; want it to be unknown", losses, err)
	}
	db.Close()
	url = asUser(t, p, "noinfo", "~*", "&*", "+@all", "-info")
	db, err = redis.Open(t.Context(), url, &p.opts)
	if err != nil {
		t.Fatal(err)
	}
	db.Close()
	url = asUser(t, p, "nothing", "~*", "&*", "+@all", "-config", "-info")
	_, err = redis.Open(t.Context(), url, &p.opts)
	if !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Open: %v; want an ErrUnavailable", err)
	}
	wantAdvice(t, err, "InsecureUncheckedEviction")
	p.opts.InsecureUncheckedEviction = true
	db, err = redis.Open(t.Context(), url, &p.opts)
	if err != nil {
		t.Fatal(err)
	}
	db.Close()
}

// What the documentation says that a user needs is enough, for every method.
func TestOpen_Rights(t *testing.T) {
	p := newPlace(t, server)
	url := asUser(t, p, "lazyauth", "resetchannels", "~{"+p.opts.Name+"}:*", "&{"+p.opts.Name+"}:*",
		"+@read", "+@write", "+@scripting", "+@pubsub", "+@connection", "+time", "+info", "+cluster|slots", "+config|get")
	db, err := redis.Open(t.Context(), url, &p.opts)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	row := enginetest.Put(t, db, enginetest.Grant(1), "mine")
	if ok, err := db.Write(t.Context(), enginetest.Grant(1), row.Fence, 1, store.Change{Generation: 2, Person: store.Hash{1}, Content: []byte("mine"), SealedBy: "k1", Due: enginetest.Long, Ends: enginetest.Long}); err != nil || !ok {
		t.Errorf("Write: %t, %v", ok, err)
	}
	if _, _, err := db.Begin(t.Context(), enginetest.Grant(1), store.Attempt{Owner: "one", Lease: enginetest.Long}); err != nil {
		t.Errorf("Begin: %v", err)
	}
	if ids, err := db.OfPerson(t.Context(), store.Hash{1}, store.ID{}, 1); err != nil || len(ids) != 1 {
		t.Errorf("OfPerson: %v, %v", ids, err)
	}
	if ids, err := db.NotSealedBy(t.Context(), "", store.ID{}, 1); err != nil || len(ids) != 1 {
		t.Errorf("NotSealedBy: %v, %v", ids, err)
	}
	if err := db.Delete(t.Context(), enginetest.Grant(1)); err != nil {
		t.Errorf("Delete: %v", err)
	}
	p.opts.Name = "others"
	other, err := redis.Open(t.Context(), url, &p.opts)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	_, err = other.Read(t.Context(), enginetest.Grant(1))
	if !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Read of what it may not: %v", err)
	}
	wantAdvice(t, err, "NOPERM", "go doc")
}

// What may be lost is read from the server's settings.
func TestLosses(t *testing.T) {
	s := start(t, durable...)
	db := newPlace(t, s).open()
	for _, c := range []struct {
		setting string
		want    store.Losses
	}{
		{"appendfsync always", store.LosesNothing},
		{"no-appendfsync-on-rewrite yes", store.LosesLastSecond},
		{"no-appendfsync-on-rewrite no", store.LosesNothing},
		{"appendfsync everysec", store.LosesLastSecond},
		{"appendfsync no", store.LosesAny},
		{"appendonly no", store.LosesAny},
	} {
		do(t, s, "CONFIG", "SET", c.setting)
		if got, err := db.Losses(t.Context()); err != nil || got != c.want {
			t.Errorf("%s: %v, %v; want %v", c.setting, got, err, c.want)
		}
	}
}

// A server whose memory is full takes nothing new, and gives what it has, and gives it up.
func TestMemoryFull(t *testing.T) {
	p := newPlace(t, server)
	db := p.open()
	row := enginetest.Put(t, db, enginetest.Grant(1), "before")
	do(t, server, "CONFIG", "SET", "maxmemory", "1")
	t.Cleanup(func() { do(t, server, "CONFIG", "SET", "maxmemory", "0") })
	_, insert := db.Insert(t.Context(), enginetest.Grant(2), store.Change{Generation: 1, Content: []byte("new")})
	_, write := db.Write(t.Context(), enginetest.Grant(1), row.Fence, 1, store.Change{Generation: 2, Content: []byte("new")})
	_, _, begin := db.Begin(t.Context(), enginetest.Grant(1), store.Attempt{Owner: "one", Lease: enginetest.Long})
	for what, err := range map[string]error{"Insert": insert, "Write": write, "Begin": begin} {
		if !errors.Is(err, store.ErrUnwritable) {
			t.Errorf("%s: %v; want an ErrUnwritable", what, err)
		}
		wantAdvice(t, err, "maxmemory")
	}
	if now := enginetest.Get(t, db, enginetest.Grant(1)); now.Fence != row.Fence || string(now.Content) != "before" {
		t.Errorf("afterwards: %+v", now)
	}
	if err := db.Delete(t.Context(), enginetest.Grant(1)); err != nil {
		t.Errorf("Delete: %v", err)
	}
}
