package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"
)

// Processes is a [Store] by which the processes of one server on one machine, behind one proxy, start
// a handler once: what a [Fleet] is for many machines. It is made by [NewProcesses], in each of them.
// A call whose handler has not started goes on at any of them; one in its middle stays where it is.
type Processes struct {
	Store
	incarnation string
}

// NewProcesses returns a store of the records in s, which several processes can share: [File].
func NewProcesses(s Store) *Processes { return &Processes{Store: s, incarnation: rand.Text()} }

// Incarnation names this process among all that ever shared the store, by random text.
func (p *Processes) Incarnation() string { return p.incarnation }

// SuitsFrequentWrites is what the function of this name goes by.
func (p *Processes) SuitsFrequentWrites() bool { return SuitsFrequentWrites(p.Store) }

// Marks are kept together, in so many records: a folder keeps a lock for each name that it ever had.
const (
	markPrefix  = "marks "
	markRecords = 64
)

// recordOfMark returns the key of the record that a mark is in.
func recordOfMark(name string) string {
	return fmt.Sprintf("%s%d", markPrefix, recordNumber(name))
}

func recordNumber(name string) byte {
	sum := sha256.Sum256([]byte(name))
	return sum[0] % markRecords
}

// A markOf is a mark as it is stored, under its name.
type markOf struct {
	Holder string    `json:"h"`
	Ends   time.Time `json:"e"`
}

// readMarks returns the marks in a record that have not ended.
func readMarks(record []byte) (map[string]markOf, error) {
	all := make(map[string]markOf)
	if record == nil {
		return all, nil
	}
	if json.Unmarshal(record, &all) != nil || all == nil {
		return nil, errors.New("store: a record of marks is none")
	}
	maps.DeleteFunc(all, func(_ string, m markOf) bool { return !time.Now().Before(m.Ends) })
	return all, nil
}

// errKept ends an update that writes nothing.
var errKept = errors.New("store: the mark is somebody else's")

// Mark is [Fleet.Mark], by the machine's clock. There is room for some 30,000 marks at a time, of all people; calls are
// marked for a day. Without room the error wraps an [ErrUnwritable].
func (p *Processes) Mark(ctx context.Context, name string, life time.Duration) (holder string, err error) {
	if name == "" || len(name) > MaxKey || life <= 0 {
		return "", fmt.Errorf("store: a mark has a name of 1 to %d bytes, and a life", MaxKey)
	}
	err = p.Update(ctx, recordOfMark(name), func(old []byte) ([]byte, error) {
		all, err := readMarks(old)
		if err != nil {
			return nil, err
		}
		if m, ok := all[name]; ok && m.Holder != p.incarnation {
			holder = m.Holder
			return nil, errKept
		}
		all[name] = markOf{p.incarnation, time.Now().Add(life).Round(0)}
		record, err := json.Marshal(all)
		if err == nil && len(record) > MaxRecord {
			err = fmt.Errorf("store: there is no room for another mark: %w", ErrUnwritable)
		}
		return record, err
	})
	switch {
	case err == nil:
		return p.incarnation, nil
	case errors.Is(err, errKept):
		return holder, nil
	}
	return "", err
}

// Holder is [Fleet.Holder].
func (p *Processes) Holder(ctx context.Context, name string) (incarnation string, err error) {
	record, err := p.Load(ctx, recordOfMark(name))
	if err != nil {
		return "", err
	}
	all, err := readMarks(record)
	return all[name].Holder, err
}

// Keys implements [Store]: marks and places are no records.
func (p *Processes) Keys(ctx context.Context) ([]string, error) {
	all, err := p.Store.Keys(ctx)
	var keys []string
	for _, key := range all {
		if !strings.HasPrefix(key, markPrefix) && !strings.HasPrefix(key, placePrefix) {
			keys = append(keys, key)
		}
	}
	return keys, err
}
