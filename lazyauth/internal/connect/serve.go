package connect

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/authcode"
)

const (
	callbackPath = "/callback/"
	donePath     = "/done"

	maxForm  = 4 << 10 // bytes, of the body of a POST
	maxQuery = 16 << 10

	// tableWait and pushTime are within what an HTTP server should have for an answer.
	tableWait = 5 * time.Second
	pushTime  = 20 * time.Second
)

// ServeHTTP serves the page at its public address and what is below that, also where a proxy has cut off the
// beginning of the path.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.EscapedPath()
	isOurs := func(rest string) bool { return strings.HasSuffix(p.public.Path+rest, strings.TrimSuffix(path, "/")) }
	at, grants := strings.LastIndex(path, callbackPath), strings.LastIndex(path, grantsPath)
	switch {
	case at >= 0 && isOurs(path[at:]):
		p.callback(w, r, path[at+len(callbackPath):])
	case strings.HasSuffix(path, donePath) && isOurs(donePath):
		p.done(w, r)
	case p.away(w, path, isOurs):
	case p.session(w, r, isOurs):
	case grants >= 0 && isOurs(path[grants:]):
		p.grants(w, r, path[grants+len(grantsPath):])
	case !isOurs(""):
		p.show(w, nothing, http.StatusNotFound, shown{})
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		p.look(w, r)
	case r.Method == http.MethodPost:
		p.goOn(w, r)
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		p.show(w, nothing, http.StatusMethodNotAllowed, shown{})
	}
}

// codeLength is that of what stands in a link: 128 bits.
const codeLength = 22

// linkCode returns what names a flight in the query of the page, or in its form. It is false if that is no text that
// could.
func linkCode(values url.Values) (string, bool) {
	list := values["f"]
	if len(list) != 1 || !isCode(list[0], codeLength) {
		return "", false
	}
	return list[0], true
}

// isCode reports whether a text consists of so many letters, digits, dashes and underscores.
func isCode(text string, length int) bool {
	if len(text) != length {
		return false
	}
	for i := range len(text) {
		c := text[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// find returns the sign-in of a link, if that is open and of this person, and of this process. Of links that are
// not it says nothing: unknown, ended, and somebody else's are one.
func (p *Page) find(ctx context.Context, code string, identity Person) (*Authorization, error) {
	ctx, cancel := context.WithTimeout(ctx, tableWait)
	defer cancel()
	link, err := p.table.Find(ctx, digest(code))
	mine := authcode.Same(link.Person.digest(), identity.digest())
	switch {
	case err != nil && !errors.Is(err, ErrEnded):
		return nil, err
	case err != nil || !mine:
		return nil, ErrEnded
	}
	if a := p.of(link.ID); a != nil {
		return a, nil
	}
	return nil, ErrEnded
}

// refuse answers with the page of an error of find, for a person who is known.
func (p *Page) refuse(w http.ResponseWriter, r *http.Request, err error, who guest) {
	if !errors.Is(err, ErrEnded) {
		p.show(w, unreachable, http.StatusServiceUnavailable, shown{You: p.name(who)})
		return
	}
	p.show(w, foreign, http.StatusForbidden, shown{You: p.name(who), Back: backOf(r.URL)})
}

// stranger answers a browser at which nobody is known to sit. No table was asked.
func (p *Page) stranger(w http.ResponseWriter, r *http.Request) {
	p.show(w, signedOut, http.StatusForbidden, shown{Back: backOf(r.URL)})
}

// look shows what is asked for, to whom it is asked of. It has no effect at all: programs that look at links before
// people do use nothing up.
func (p *Page) look(w http.ResponseWriter, r *http.Request) {
	who, identity, err := p.who(r)
	if err != nil {
		p.stranger(w, r)
		return
	}
	if len(r.URL.RawQuery) > maxQuery {
		p.refuse(w, r, ErrEnded, who)
		return
	}
	values, err := url.ParseQuery(r.URL.RawQuery)
	code, ok := linkCode(values)
	if err != nil || !ok {
		p.refuse(w, r, ErrEnded, who)
		return
	}
	a, err := p.find(r.Context(), code, identity)
	if err != nil {
		p.refuse(w, r, err, who)
		return
	}
	p.show(w, consent, http.StatusOK, a.about(shown{You: p.name(who), Code: code, Token: p.sealer.formToken(code, identity)}))
}
