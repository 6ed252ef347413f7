package httplimit

import (
	"io"
	"net/http"
	"time"
)

// timed returns w and r with a limit for each read and write. A limit for the whole, as
// [http.Server] has it, would end calls that wait for a person.
func (l *Limiter) timed(w http.ResponseWriter, r *http.Request) (*timedWriter, *http.Request) {
	control := http.NewResponseController(w)
	if r.Body != nil && r.Body != http.NoBody {
		body := &timedReader{r.Body, control, l.limits.ReadTimeout}
		copied := *r
		copied.Body = body
		r = &copied
	}
	return &timedWriter{w, control, l.limits.WriteTimeout}, r
}

type timedReader struct {
	io.ReadCloser
	control *http.ResponseController
	timeout time.Duration
}

// Read implements [io.Reader]. At its end the limit is lifted: net/http reads on in the
// background to learn whether the caller has gone.
func (t *timedReader) Read(p []byte) (int, error) {
	_ = t.control.SetReadDeadline(time.Now().Add(t.timeout)) // a connection that has none has its own limits
	n, err := t.ReadCloser.Read(p)
	if err != nil {
		_ = t.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

type timedWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	timeout time.Duration
}

// Unwrap is for [http.ResponseController].
func (t *timedWriter) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// Write implements [io.Writer].
func (t *timedWriter) Write(p []byte) (int, error) {
	t.begin()
	defer t.end()
	return t.ResponseWriter.Write(p)
}

// Flush implements [http.Flusher].
func (t *timedWriter) Flush() { _ = t.FlushError() }

// FlushError is what [http.ResponseController] prefers.
func (t *timedWriter) FlushError() error {
	t.begin()
	defer t.end()
	return t.control.Flush()
}

func (t *timedWriter) begin() { _ = t.control.SetWriteDeadline(time.Now().Add(t.timeout)) }

// end lifts the limit: over HTTP/2 it would end the stream although nothing is written.
func (t *timedWriter) end() { _ = t.control.SetWriteDeadline(time.Time{}) }
