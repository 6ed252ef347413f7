package quota_test

import (
	"sync"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/quota"
)

func TestQuota(t *testing.T) {
	q := quota.New[string](3, 2)
	takes := func(owner string, want bool) {
		t.Helper()
		if has := q.HasRoom(owner, 1); has != want {
			t.Errorf("room for %s: %t", owner, has)
		}
		if took := q.Take(owner); took != want {
			t.Errorf("%s took one: %t", owner, took)
		}
	}
	takes("ada", true)
	takes("ada", true)
	takes("ada", false) // each
	takes("eve", true)
	takes("eve", false) // in all
	q.Give("ada")
	takes("eve", true)
	takes("ada", false)
	q.Give("eve")
	q.Give("eve")
	q.Give("ada")
	if q.Taken() != 0 {
		t.Errorf("%d are taken", q.Taken())
	}
}

// Many are taken together, or not at all.
func TestQuota_TakeMany(t *testing.T) {
	q := quota.New[string](10, 7)
	for _, step := range []struct {
		owner string
		n     int
		want  bool
	}{{"ada", 8, false}, {"ada", 5, true}, {"ada", 3, false}, {"eve", 6, false}, {"eve", 5, true}, {"bob", 0, true}, {"bob", 1, false}} {
		if has := q.HasRoom(step.owner, step.n); has != step.want {
			t.Errorf("room for %d of %s: %t", step.n, step.owner, has)
		}
		if took := q.TakeMany(step.owner, step.n); took != step.want {
			t.Errorf("%s took %d: %t", step.owner, step.n, took)
		}
	}
	q.GiveMany("ada", 5)
	if q.Taken() != 5 || !q.TakeMany("ada", 5) {
		t.Errorf("%d are taken", q.Taken())
	}
}

// Of all who come at once no more get one than there are.
func TestQuota_SideBySide(t *testing.T) {
	q := quota.New[int](50, 20)
	var wg sync.WaitGroup
	got := make([]int, 4)
	for owner := range got {
		for range 100 {
			wg.Go(func() {
				for range 100 {
					if q.Take(owner) {
						q.Give(owner)
					}
				}
			})
		}
	}
	wg.Wait()
	for owner := range got {
		for q.Take(owner) {
			got[owner]++
		}
	}
	if q.Taken() != 50 || got[0] != 20 || got[1] != 20 || got[2] != 10 || got[3] != 0 {
		t.Errorf("%d are taken: %v", q.Taken(), got)
	}
}
