package store

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"
)

// Processes is a [Store] by which the processes of one server on one machine, behind one proxy, start
// a handler once: what a [Fleet] is for many machines. It is made by [NewProcesses], in each of them.
// A call whose handler has not started goes on at any of them; one in its middle stays where it is.
type Processes struct {
	Store
	incarnation string

	mu    sync.Mutex
	swept time.Time // when marks that have ended were removed last
}

// NewProcesses returns a store of the records in s, which several processes can share: [File].
func NewProcesses(s Store) *Processes {
	return &Processes{Store: s, incarnation: rand.Text(), swept: time.Now()}
}

// Incarnation names this process among all that ever shared the store, by random text.
func (p *Processes) Incarnation() string { return p.incarnation }

// SuitsFrequentWrites is what the function of this name goes by.
func (p *Processes) SuitsFrequentWrites() bool { return SuitsFrequentWrites(p.Store) }

// markPrefix begins the keys of marks.
const markPrefix = "mark "

// A markRecord is a mark as it is stored.
type markRecord struct {
	Holder string    `json:"holder"`
	Ends   time.Time `json:"ends"`
}

// readMark returns a mark that has not ended.
func readMark(record []byte) (m markRecord, ok bool) {
	if record == nil || json.Unmarshal(record, &m) != nil {
		return markRecord{}, false
	}
	return m, m.Holder != "" && time.Now().Before(m.Ends)
}

// errKept ends an update that writes nothing.
var errKept = errors.New("store: the mark is somebody else's")

// Mark is [Fleet.Mark], by the machine's clock. Marks that have ended are removed now and then, by whoever makes one.
func (p *Processes) Mark(ctx context.Context, name string, life time.Duration) (holder string, err error) {
	if life <= 0 {
		return "", errors.New("store: a mark without a life")
	}
	err = p.Update(ctx, markPrefix+name, func(old []byte) ([]byte, error) {
		if m, ok := readMark(old); ok && m.Holder != p.incarnation {
			holder = m.Holder
			return nil, errKept
		}
		holder = p.incarnation
		return json.Marshal(markRecord{p.incarnation, time.Now().Add(life).Round(0)})
	})
	if err != nil && !errors.Is(err, errKept) {
		return "", err
	}
	p.sweep(ctx)
	return holder, nil
}

// Holder is [Fleet.Holder].
func (p *Processes) Holder(ctx context.Context, name string) (incarnation string, err error) {
	record, err := p.Load(ctx, markPrefix+name)
	if err != nil {
		return "", err
	}
	m, ok := readMark(record)
	if !ok {
		return "", nil
	}
	return m.Holder, nil
}

// Keys implements [Store]: marks are no records.
func (p *Processes) Keys(ctx context.Context) ([]string, error) {
	all, err := p.Store.Keys(ctx)
	var keys []string
	for _, key := range all {
		if !strings.HasPrefix(key, markPrefix) {
			keys = append(keys, key)
		}
	}
	return keys, err
}

// sweepEvery is how often marks that have ended are looked for.
const sweepEvery = time.Hour

// sweep removes marks that have ended, as far as that can be done.
func (p *Processes) sweep(ctx context.Context) {
	p.mu.Lock()
	due := time.Since(p.swept) >= sweepEvery
	if due {
		p.swept = time.Now()
	}
	p.mu.Unlock()
	if !due {
		return
	}
	all, _ := p.Store.Keys(ctx) // those that could be read
	for _, key := range all {
		if !strings.HasPrefix(key, markPrefix) {
			continue
		}
		record, err := p.Load(ctx, key)
		if _, stands := readMark(record); stands || err != nil {
			continue
		}
		_ = p.Update(ctx, key, func(old []byte) ([]byte, error) { // or else the next one
			if _, stands := readMark(old); stands {
				return nil, errKept
			}
			return nil, nil
		})
	}
}
