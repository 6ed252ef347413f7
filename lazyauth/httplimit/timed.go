package httplimit

import (
	"io"
	"net/http"
	"time"
)

// timed returns w and r with a limit for reading and writing. A limit for the whole, as
// [http.Server] has it, would end calls that wait for a person.
func (l *Limiter) timed(w http.ResponseWriter, r *http.Request) (*timedWriter, *http.Request) {
	control := http.NewResponseController(w)
	if r.Body != nil && r.Body != http.NoBody {
		body := &timedReader{r.Body, control, newAllowance(l.limits.ReadTimeout, l.limits.MinRate)}
		copied := *r
		copied.Body = body
		r = &copied
	}
	timed := &timedWriter{w, control, newAllowance(l.limits.WriteTimeout, l.limits.MinRate)}
	timed.lift() // that of the request before on this connection, which would end a "100 Continue"
	return timed, r
}

// An allowance is the time that a caller may still have us wait for bytes to come or go. It
// grows with the bytes, so that whoever sends or takes a byte now and then gains nothing by it.
type allowance struct {
	most, left time.Duration
	rate       int64 // bytes a second
}

func newAllowance(most time.Duration, rate int64) *allowance {
	return &allowance{most: most, left: most, rate: rate}
}

func (a *allowance) deadline() time.Time { return time.Now().Add(a.left) }

// waited notes that so many bytes took from then until now.
func (a *allowance) waited(since time.Time, bytes int) {
	gained := time.Duration(float64(bytes) / float64(a.rate) * float64(time.Second))
	a.left = min(a.most, a.left-time.Since(since)+gained)
}

type timedReader struct {
	io.ReadCloser
	control   *http.ResponseController
	allowance *allowance
}

// Read implements [io.Reader]. At its end the limit is lifted: net/http reads on in the
// background to learn whether the caller has gone.
func (t *timedReader) Read(p []byte) (int, error) {
	began := time.Now()
	_ = t.control.SetReadDeadline(t.allowance.deadline()) // a connection that has none has its own limits
	n, err := t.ReadCloser.Read(p)
	t.allowance.waited(began, n)
	if err != nil {
		_ = t.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

type timedWriter struct {
	http.ResponseWriter
	control   *http.ResponseController
	allowance *allowance
}

// Unwrap is for [http.ResponseController].
func (t *timedWriter) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// Write implements [io.Writer].
func (t *timedWriter) Write(p []byte) (n int, err error) {
	defer t.begin()(&n)
	return t.ResponseWriter.Write(p)
}

// Flush implements [http.Flusher].
func (t *timedWriter) Flush() { _ = t.FlushError() }

// FlushError is what [http.ResponseController] prefers.
func (t *timedWriter) FlushError() error {
	none := 0
	defer t.begin()(&none)
	return t.control.Flush()
}

// limit has writing end when the allowance does.
func (t *timedWriter) limit() { _ = t.control.SetWriteDeadline(t.allowance.deadline()) }

// begin sets the limit, and returns what lifts it once so many bytes are written.
func (t *timedWriter) begin() (end func(bytes *int)) {
	began := time.Now()
	t.limit()
	return func(bytes *int) {
		t.allowance.waited(began, *bytes)
		t.lift()
	}
}

// lift lifts the limit: over HTTP/2 it would end the stream although nothing is written.
func (t *timedWriter) lift() { _ = t.control.SetWriteDeadline(time.Time{}) }
