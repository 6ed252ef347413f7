package httplimit

import (
	"errors"
	"io"
	"net/http"
)

// errBytes is told to whoever reads a body for which there is no room.
var errBytes = errors.New("busy: too many bytes at a time; try again later")

// A body is one of a person's requests. Its bytes count as they come, since announcing them costs
// nothing, and for as long as the request is in progress: what is made of them lives as long.
type body struct {
	io.ReadCloser
	limiter *Limiter
	who     person
	bytes   int // that have come
}

// body has the bytes of a request's body counted, which release gives back. It answers the request
// and returns false if there is no room for what is announced.
func (l *Limiter) body(w http.ResponseWriter, r *http.Request, who person) (release func(), ok bool) {
	switch {
	case r.Body == nil || r.Body == http.NoBody:
		return func() {}, true
	case r.ContentLength > int64(l.limits.BytesPerPerson):
		http.Error(w, "the body is too large", http.StatusRequestEntityTooLarge)
		return nil, false
	case !l.bytes.HasRoom(who, int(max(r.ContentLength, 0))):
		busy(w, l.bytes.HasShare(who), "bytes")
		return nil, false
	}
	b := &body{ReadCloser: r.Body, limiter: l, who: who}
	r.Body = b
	return func() { l.bytes.GiveMany(who, b.bytes) }, true
}

// Read implements [io.Reader].
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if !b.limiter.bytes.TakeMany(b.who, n) {
		return 0, errBytes
	}
	b.bytes += n
	return n, err
}
