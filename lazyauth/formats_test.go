package lazyauth_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// rowsIn returns the sealed rows that replicas share.
func rowsIn(t *testing.T, shared store.Shared) (rows []*store.Row) {
	t.Helper()
	ids, err := shared.NotSealedBy(t.Context(), "", store.ID{}, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		row, err := shared.Read(t.Context(), id)
		if err != nil || row == nil {
			t.Fatal(row, err)
		}
		rows = append(rows, row)
	}
	return rows
}

// writtenLater has all rows be as a later release would write them, in a format that this one does not know.
func writtenLater(t *testing.T, shared store.Shared) (rows []*store.Row) {
	t.Helper()
	for _, row := range rowsIn(t, shared) {
		row.Content[0], row.SealedBy = 77, row.SealedBy+"/77"
		if err := shared.Delete(t.Context(), row.ID); err != nil {
			t.Fatal(err)
		}
		if ok, err := shared.Insert(t.Context(), row.ID, store.Change{Person: row.Person, Generation: row.Generation, SealedBy: row.SealedBy, Content: row.Content}); err != nil || !ok {
			t.Fatal(ok, err)
		}
	}
	return rowsIn(t, shared)
}

// A replica that cannot read a grant, since a later release has written it, neither uses it nor writes it over. Its
// person is asked there, and what the others have stays as it is.
func TestFormats_LaterGrantIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 2, nil)
		signsIn := func(n int) {
			r := world.Request{State: (<-f.Sends(n, world.Request{})).State(t), Action: "accept"}
			retry := f.Sends(n, r)
			f.Worlds[n].Approves()
			(<-retry).Succeeds(t, "ada")
		}
		signsIn(0)
		time.Sleep(time.Hour) // until nothing of the sign-in is left
		before := writtenLater(t, f.Rows)
		if len(before) != 1 {
			t.Fatalf("%d rows, want the grant's", len(before))
		}
		signsIn(1)
		time.Sleep(time.Hour)
		row, err := f.Rows.Read(t.Context(), before[0].ID)
		if err != nil || row == nil || row.Generation != before[0].Generation || !bytes.Equal(row.Content, before[0].Content) || row.SealedBy != before[0].SealedBy {
			t.Errorf("what a later release has written became %+v, %v", row, err)
		}
		told := world.Infos[lazyauth.StoreFailedInfo](&f.Worlds[1].Trace)
		if len(told) == 0 {
			t.Error("the operator is told nothing")
		}
		for _, info := range told {
			if !errors.Is(info.Err, store.ErrFormat) || !strings.Contains(info.Err.Error(), "update this machine") {
				t.Errorf("the operator is told %v", info.Err)
			}
		}
	})
}
