package store

import (
	"errors"
	"testing"
)

// torn is a place whose record is replaced while it is read, so many times.
type torn struct {
	*memory
	times int
}

func (p *torn) read(name string) (*entry, error) {
	if p.times > 0 {
		p.times--
		return nil, damage("a piece of it is missing")
	}
	return p.memory.read(name)
}

// What looks damaged is looked at again when nobody can be writing it. Only then
// is it set aside.
func TestReadWhileItIsReplaced(t *testing.T) {
	memory := Memory().(*kept).place.(*memory)
	update(t, &kept{place: memory}, "alice", "whole")
	expect(t, &kept{place: &torn{memory, 1}}, "alice", "whole")
	if keys, err := (&kept{place: &torn{memory, 1}}).Keys(t.Context()); err != nil || len(keys) != 1 {
		t.Errorf("Keys: %q, %v", keys, err)
	}
	if _, err := (&kept{place: &torn{memory, 2}}).Load(t.Context(), "alice"); !errors.Is(err, ErrDamaged) {
		t.Errorf("error: %v", err)
	}
	expect(t, &kept{place: memory}, "alice", "")
}
