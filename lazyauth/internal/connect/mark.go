package connect

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/authcode"
)

// MarksOf returns the marks, in a store that processes share, of whose the sign-in is that a request for
// a page is about: the first that there is counts, and there is none without the one that they need, if that is not empty: anybody can
// make links up. form is what its body has, if that is a form. There is none if the request is about
// none, or none that can be told: every process answers such a request alike.
//
// What stands in a link is not in its mark, so that who reads the store has no link.
func MarksOf(r *http.Request, form url.Values) (marks []string, needs string) {
	values, err := form, error(nil)
	if r.Method != http.MethodPost {
		if len(r.URL.RawQuery) > maxQuery {
			return nil, ""
		}
		values, err = url.ParseQuery(r.URL.RawQuery)
	}
	if err != nil {
		return nil, ""
	}
	if code, ok := linkCode(values); ok {
		id := digest(code)
		for turn := MostTurns - 1; turn >= 0; turn-- {
			marks = append(marks, markOfLink(id, turn))
		}
		return marks, markOfLink(id, 0)
	}
	if got, ok := authcode.ReadAnswer(r.URL.RawQuery); ok {
		if id, named := attemptOf(got.State); named {
			return []string{markOfAttempt(id)}, ""
		}
	}
	if ids := values["a"]; len(ids) == 1 && isCode(ids[0], attemptLength) {
		return []string{markOfAttempt(ids[0])}, ""
	}
	return nil, ""
}

// MostTurns is how many processes have a link, one after the other.
const MostTurns = 3

// markOfLink returns the mark of the process that has a link after so many others. A mark cannot be taken back, so
// that each has another one.
func markOfLink(id string, turn int) string {
	if turn == 0 {
		return "link " + id
	}
	return "link " + id + " " + strconv.Itoa(turn)
}

func markOfAttempt(id string) string { return "attempt " + id }

// mark has a sign-in's link or attempt marked as this process's, if there are others.
func (a *Authorization) mark(ctx context.Context, mark string) error {
	if a.request.Mark == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, tableWait)
	defer cancel()
	if err := a.request.Mark(ctx, mark, LinkLife+2*linger); err != nil {
		return fmt.Errorf("connect: marking whose sign-in it is: %w", err)
	}
	return nil
}
