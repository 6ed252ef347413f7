package httplimit

import (
	"errors"
	"io"
	"net/http"
)

// errBytes is told to whoever reads a body for which there is no room.
var errBytes = errors.New("busy: too many bytes at a time; try again later")

// A body is one of a person's requests. It counts as it comes, since announcing it costs nothing,
// and for as long as the request is in progress: what is made of it lives as long.
type body struct {
	io.ReadCloser
	limiter *Limiter
	who     person
	scale   scale
	weight  int // of what has come
	taken   int // of the quota
}

// free is what each request may weigh beside what is counted: an ordinary call is let in though
// others have taken all that there is. Requests in progress are bounded themselves.
const free = 16 << 10

// body has the bytes of a request's body counted, which release gives back. It answers the request
// and returns false if there is no room for what is announced.
func (l *Limiter) body(w http.ResponseWriter, r *http.Request, who person) (release func(), ok bool) {
	switch {
	case r.Body == nil || r.Body == http.NoBody:
		return func() {}, true
	case r.ContentLength > int64(l.limits.BytesPerPerson):
		http.Error(w, "the body is too large", http.StatusRequestEntityTooLarge)
		return nil, false
	case !l.bytes.HasRoom(who, int(max(r.ContentLength-free, 0))):
		busy(w, l.bytes.HasShare(who), "bytes")
		return nil, false
	}
	b := &body{ReadCloser: r.Body, limiter: l, who: who}
	r.Body = b
	return func() { l.bytes.GiveMany(who, b.taken) }, true
}

// Read implements [io.Reader].
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.weight += b.scale.weigh(p[:n])
	if more := b.weight - free - b.taken; more > 0 {
		if !b.limiter.bytes.TakeMany(b.who, more) {
			return 0, errBytes
		}
		b.taken += more
	}
	return n, err
}

// perValue is about how many bytes of memory a value takes that is decoded from JSON, besides its
// text: an empty object in a list takes three bytes in the text, and 66 in memory.
const perValue = 64

// A scale weighs a JSON text by what it is in memory. What is no JSON weighs something, too.
type scale struct{ inString, escaped bool }

// weigh returns the weight of the next part.
func (s *scale) weigh(text []byte) int {
	weight := len(text)
	for _, c := range text {
		switch {
		case s.escaped:
			s.escaped = false
		case s.inString:
			s.escaped, s.inString = c == '\\', c != '"'
		case c == '"':
			s.inString = true
		case c == '{' || c == '[' || c == ',':
			weight += perValue
		}
	}
	return weight
}
