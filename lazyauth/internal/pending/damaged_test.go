package pending_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// A disk has records in files, which somebody can damage.
type disk struct {
	t   *testing.T
	dir string
	store.Store
}

func newDisk(t *testing.T) *disk {
	t.Helper()
	d := &disk{t: t, dir: filepath.Join(t.TempDir(), "grants")}
	var err error
	if d.Store, err = store.File(d.dir, []byte("0123456789abcdefghijklmnopqrstuv")); err != nil {
		t.Fatal(err)
	}
	return d
}

// damages cuts the records short.
func (d *disk) damages() {
	d.t.Helper()
	files, err := filepath.Glob(filepath.Join(d.dir, "*.grant"))
	if err != nil || len(files) != 1 {
		d.t.Fatalf("%q, %v", files, err)
	}
	if err := os.Truncate(files[0], 50); err != nil {
		d.t.Fatal(err)
	}
}

// hears has p hear of stores that fail, which is no fault here.
func (p *process) hears() *[]error {
	var told []error
	p.asked.Failed = func(err error) { told = append(told, err) }
	return &told
}

// Who finds the record damaged begins a flight in its place, which the next process joins: the store has set
// the damaged one aside.
func TestBegin_Damaged(t *testing.T) {
	d := newDisk(t)
	synctest.Test(t, func(t *testing.T) {
		as := fakeas.New(nil)
		first := starts(t, as, d, nil).begins()
		d.damages()
		b := starts(t, as, d, nil)
		told := b.hears()
		second := b.begins()
		if second.UserCode == first.UserCode || len(*told) != 1 || !errors.Is((*told)[0], store.ErrDamaged) {
			t.Errorf("told %v", *told)
		}
		c := starts(t, as, d, nil)
		third := c.begins()
		if third.UserCode != second.UserCode {
			t.Error("the flight that was begun in its place is not in the store")
		}
		approves(t, as, third.UserCode)
		if r := <-c.waits(t.Context(), third); r.err != nil {
			t.Error(r.err)
		}
	})
}

// A flight whose record is damaged goes on, and has a record again.
func TestWait_Damaged(t *testing.T) {
	d := newDisk(t)
	synctest.Test(t, func(t *testing.T) {
		as := fakeas.New(nil)
		a := starts(t, as, d, nil)
		told := a.hears()
		first := a.begins()
		waiting := a.waits(t.Context(), first)
		later(7 * time.Second) // it has polled
		d.damages()
		later(12 * time.Second)
		if len(*told) != 1 || !errors.Is((*told)[0], store.ErrDamaged) {
			t.Errorf("told %v", *told)
		}
		if joined := starts(t, as, d, nil).begins(); joined.UserCode != first.UserCode {
			t.Error("its code is not in the store")
		}
		approves(t, as, first.UserCode)
		if r := <-waiting; r.err != nil {
			t.Error(r.err)
		}
		for _, violation := range as.Violations() {
			t.Error(violation)
		}
	})
}
