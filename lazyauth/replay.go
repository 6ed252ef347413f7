package lazyauth

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"sync"
)

// maxReplay is the longest body that is kept to be sent again, for requests
// without GetBody.
const maxReplay = 64 << 10

// A replay is the body of a request that may have to be sent again. Nil is that
// of a request without one.
type replay struct {
	req      *http.Request
	sent     bool
	recorder *recorder
}

func newReplay(req *http.Request) *replay {
	if req.Body == nil || req.Body == http.NoBody {
		return nil
	}
	return &replay{req: req}
}

// next returns the body for the next attempt; r is not nil.
func (r *replay) next() (io.ReadCloser, error) {
	if !r.sent {
		r.sent = true
		if r.req.GetBody != nil {
			return r.req.Body, nil
		}
		r.recorder = &recorder{body: r.req.Body}
		return r.recorder, nil
	}
	if r.req.GetBody != nil {
		return r.req.GetBody()
	}
	return io.NopCloser(bytes.NewReader(r.recorder.bytes())), nil
}

// possible reports whether there is a next body.
func (r *replay) possible() bool {
	return r == nil || r.req.GetBody != nil || r.recorder != nil && r.recorder.complete()
}

// A recorder keeps what is read from a body, up to maxReplay. The transport
// may go on reading after it has returned a response.
type recorder struct {
	body io.ReadCloser

	mu   sync.Mutex
	kept bytes.Buffer
	over bool // longer than maxReplay
	done bool // read to its end
}

func (r *recorder) Read(p []byte) (int, error) {
	n, err := r.body.Read(p)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.done { // kept is being sent again; a body ends once
		return n, err
	}
	if r.over = r.over || r.kept.Len()+n > maxReplay; r.over {
		r.kept = bytes.Buffer{}
	} else {
		r.kept.Write(p[:n])
	}
	r.done = r.done || errors.Is(err, io.EOF)
	return n, err
}

func (r *recorder) Close() error { return r.body.Close() }

func (r *recorder) complete() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.done && !r.over
}

func (r *recorder) bytes() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.kept.Bytes()
}
