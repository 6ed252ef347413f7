package connect

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	grantsPath = "/grants"
	endPath    = "/end"
	everything = "all" // in the place of a grant's name

	// mineTime is how long it may take to look at grants, and endTime to end them, which goes on if the browser gives
	// up.
	mineTime = 10 * time.Second
	endTime  = time.Minute
)

// grants serves what is below grantsPath: what the person has granted, one of it, and the ends of both.
func (p *Page) grants(w http.ResponseWriter, r *http.Request, below string) {
	name, ends := strings.CutSuffix(strings.TrimSuffix(below, "/"), endPath)
	name = strings.TrimPrefix(name, "/")
	posts, allow := r.Method == http.MethodPost, "GET, HEAD, POST"
	switch {
	case name == "" && !ends:
		posts, allow = false, "GET, HEAD"
	case name == everything && !ends, name != everything && !isCode(name, codeLength):
		p.show(w, nothing, http.StatusNotFound, shown{})
		return
	}
	switch {
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		p.showMine(w, r, name, ends)
	case posts && name == everything:
		p.endAll(w, r)
	case posts && ends:
		p.endOne(w, r, name)
	case posts:
		p.again(w, r, name)
	default:
		w.Header().Set("Allow", allow)
		p.show(w, nothing, http.StatusMethodNotAllowed, shown{})
	}
}

// A sitter is who sits at the browser, and what they have granted.
type sitter struct {
	asker Asker
	you   string
	all   []mine
	err   error // why that is not all
}

// sits returns who sits at the browser. It has answered if it returns false.
func (p *Page) sits(w http.ResponseWriter, r *http.Request) (sitter, bool) {
	who, identity, err := p.who(r)
	if err != nil {
		p.stranger(w, r)
		return sitter{}, false
	}
	return sitter{asker: p.asker(who.Person, identity), you: p.name(who)}, true
}

// find looks up what they have granted, and reports whether there is a grant of this name among it, or that is
// everything. It returns what a page shows of it.
func (s *sitter) find(ctx context.Context, p *Page, name string) (shown, bool) {
	ctx, cancel := context.WithTimeout(ctx, mineTime)
	defer cancel()
	s.all, s.err = p.mineOf(ctx, s.asker)
	found := shown{You: s.you, Mine: s.all, Partly: s.err != nil}
	at := slices.IndexFunc(s.all, func(m mine) bool { return m.Name == name })
	if at >= 0 {
		found.One = &s.all[at]
	}
	return found, at >= 0 || name == everything
}

// formOf names the form of a page about grants, for its token.
func formOf(name string, ends bool) string {
	if ends {
		return grantsPath + "/" + name + endPath
	}
	return grantsPath + "/" + name
}

// showMine shows the list, a grant, or what would end. It has no effect.
func (p *Page) showMine(w http.ResponseWriter, r *http.Request, name string, ends bool) {
	sits, ok := p.sits(w, r)
	if !ok {
		return
	}
	s, found := sits.find(r.Context(), p, name)
	s.Token = p.sealerOfMine().formToken(formOf(name, ends), sits.asker.Identity)
	switch {
	case name == "":
		s.Token = ""
		p.show(w, granted, http.StatusOK, s)
	case !found:
		p.refuseMine(w, s)
	case name == everything:
		p.show(w, endingAll, http.StatusOK, s)
	case ends:
		p.show(w, ending, http.StatusOK, s)
	default:
		p.show(w, details, http.StatusOK, s)
	}
}

// refuseMine answers who asks for a grant that they have not: it is unknown, has ended, or is somebody else's.
func (p *Page) refuseMine(w http.ResponseWriter, s shown) {
	if s.Partly {
		p.show(w, unreachable, http.StatusServiceUnavailable, shown{You: s.You})
		return
	}
	p.show(w, noGrant, http.StatusNotFound, shown{You: s.You})
}

// changes reads the form of a page about grants, which has to bring this answer, and looks up the grant. It has answered
// if it returns false.
func (p *Page) changes(w http.ResponseWriter, r *http.Request, name string, ends bool, answer string) (sitter, shown, bool) {
	if !p.readForm(w, r) {
		return sitter{}, shown{}, false
	}
	sits, ok := p.sits(w, r)
	if !ok {
		return sitter{}, shown{}, false
	}
	answers := r.PostForm["answer"]
	if !p.sealerOfMine().isFormToken(r.PostForm.Get("token"), formOf(name, ends), sits.asker.Identity) || len(answers) != 1 || answers[0] != answer {
		p.show(w, forged, http.StatusForbidden, shown{You: sits.you})
		return sitter{}, shown{}, false
	}
	s, ok := sits.find(r.Context(), p, name)
	if !ok {
		p.refuseMine(w, s)
	}
	return sits, s, ok
}

// again begins a sign-in in the place of a grant, and leads to its page.
func (p *Page) again(w http.ResponseWriter, r *http.Request, name string) {
	_, s, ok := p.changes(w, r, name, false, "again")
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), pushTime)
	defer cancel()
	link, code, err := s.One.at.Again(ctx, s.One.Granted)
	switch {
	case errors.Is(err, ErrNoGrant):
		p.show(w, noGrant, http.StatusNotFound, shown{You: s.You})
	case errors.Is(err, ErrBarred):
		p.show(w, barred, http.StatusForbidden, s)
	case errors.Is(err, ErrBusy):
		p.show(w, tooOften, http.StatusTooManyRequests, s)
	case err != nil:
		p.show(w, unreachable, http.StatusServiceUnavailable, s)
	case code != "":
		s.To, s.Code = link, code
		p.show(w, byCode, http.StatusOK, s)
	default:
		p.leads(w, link) // within this origin, so that form-action has nothing against it
	}
}

// A fate is what became of a grant that was to end.
type fate struct {
	mine
	Lives bool // it may not have ended
	Works bool // it has, and its tokens may be good elsewhere …
	Never bool // … as they cannot be ended from here
}

func (m mine) end(ctx context.Context) fate {
	err := m.at.End(ctx, m.Granted)
	f := fate{mine: m, Never: errors.Is(err, ErrNoRevocation)}
	f.Works = f.Never || errors.Is(err, ErrNotRevoked)
	f.Lives = err != nil && !f.Works
	return f
}

// endOne ends a grant.
func (p *Page) endOne(w http.ResponseWriter, r *http.Request, name string) {
	_, s, ok := p.changes(w, r, name, true, "end")
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), endTime)
	defer cancel()
	s.Ended = []fate{s.One.end(ctx)}
	p.tellEnd(w, s)
}

// endAll ends all that a person has granted: one after the other, so that it can be said what became of each, and
// then whatever else there is.
func (p *Page) endAll(w http.ResponseWriter, r *http.Request) {
	sits, s, ok := p.changes(w, r, everything, true, "end")
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), endTime)
	defer cancel()
	for _, m := range s.Mine {
		s.Ended = append(s.Ended, m.end(ctx))
	}
	for _, g := range p.all() {
		if err := g.EndAll(ctx, sits.asker); err != nil && !errors.Is(err, ErrNotRevoked) {
			s.Partly = true
		}
	}
	s.All = true
	p.tellEnd(w, s)
}

// tellEnd says what became of grants.
func (p *Page) tellEnd(w http.ResponseWriter, s shown) {
	s.Partly = s.All && s.Partly
	for _, f := range s.Ended {
		s.Partly = s.Partly || f.Lives
	}
	status := http.StatusOK
	if s.Partly {
		status = http.StatusServiceUnavailable
	}
	p.show(w, over, status, s)
}
