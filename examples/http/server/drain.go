package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// lastWords bounds how long answers may take once the server has closed.
const lastWords = 10 * time.Second

// end ends what serves. Calls that wait are answered.
func (s *Server) end(ctx context.Context, web *http.Server, endStreams func()) error {
	var undrained error
	if s.cfg.Drain > 0 {
		undrained = s.drain(ctx, web, endStreams)
	}
	endStreams()
	closed := make(chan error, 1)
	go func() { closed <- s.auth.Close() }()
	ctx, cancel := context.WithTimeout(ctx, lastWords)
	defer cancel()
	err := web.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("requests did not end: %w", err), web.Close())
	}
	return errors.Join(undrained, err, <-closed)
}

// drain serves as ever until there is nothing left that this process alone can go on with, which is what the other replicas
// forward to it: the proxy has been told by /readyz that it takes no more. Then it takes nothing, and answers what it has taken.
func (s *Server) drain(ctx context.Context, web *http.Server, endStreams func()) error {
	time.Sleep(s.cfg.Notice) // the proxy may not know yet
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Drain)
	defer cancel()
	err := s.auth.Drain(ctx)
	if err == nil {
		endStreams()
		_ = web.Shutdown(ctx) // what has not ended by then end tells of
	}
	return err
}
