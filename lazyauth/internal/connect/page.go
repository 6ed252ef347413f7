package connect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/authcode"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/guard"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
)

// whoWait is how long the author's functions may take.
const whoWait = 10 * time.Second

// A Person is somebody whom an issuer knows by a subject.
type Person struct{ Issuer, Subject string }

// A Config says how people are recognised. PublicURL is required, and Who or Sessions.
type Config struct {
	// PublicURL is the address of the page as browsers see it: https, or http on loopback.
	PublicURL string
	// Who tells who is signed in at the browser that sent a request; an error if nobody is.
	Who func(*http.Request) (Person, error)
	// Sessions does so in place of Who, Name, SignIn and SignOut, and signs people in.
	Sessions Sessions
	// Map returns the identity that a person is compared by; nil: their issuer and subject.
	Map func(Person) (Person, error)
	// Name returns what the page calls a person; nil: their subject.
	Name func(Person) string
	// SignIn and SignOut are pages of the program's own; empty if there is none to name.
	SignIn, SignOut string
	// Table has the links and attempts; nil: in this process.
	Table Table
}

// A Page is the handler of one address, for any number of services. It is safe for concurrent use.
type Page struct {
	config Config
	public *url.URL
	origin string
	secure bool // whether cookies can be kept to https
	sealer sealer
	table  Table

	late   guard.Late
	mishap sync.Once

	mu        sync.Mutex
	local     map[string]*Authorization // those of this process, by the ids of their links
	grantings []*granting
}

// New checks the configuration. Its errors are for the author of the configuration.
func New(config Config) (*Page, error) {
	switch signsIn := config.Sessions != nil; {
	case config.Who == nil && !signsIn:
		return nil, errors.New("the field Who is nil, and so is SignIn: nothing would tell who sits at a browser")
	case signsIn && (config.Who != nil || config.Name != nil || config.SignIn != "" || config.SignOut != ""):
		return nil, errors.New("the field SignIn is there in place of Who, Name, SignInURL and SignOutURL: set it alone")
	}
	u, why := oauth.CheckURL(config.PublicURL, true)
	switch {
	case why != "":
		return nil, errors.New("PublicURL " + why)
	case u.RawQuery != "" || u.ForceQuery:
		return nil, errors.New("PublicURL has a query")
	case u.Scheme != "https" && !isLoopback(u.Hostname()):
		return nil, errors.New("PublicURL is not https: only one on loopback can be http")
	case strings.HasSuffix(u.Path, "/"), !isPlain(u.Path):
		return nil, errors.New("PublicURL ends with a slash, or its path has other characters than letters, digits and -._~/")
	case isOwnPath(u.Path):
		return nil, errors.New("the path of PublicURL is one below a connect page")
	}
	for _, own := range []struct{ name, url string }{{"SignInURL", config.SignIn}, {"SignOutURL", config.SignOut}} {
		if own.url == "" {
			continue
		}
		if _, why := oauth.CheckURL(own.url, true); why != "" {
			return nil, errors.New(own.name + " " + why)
		}
	}
	p := &Page{
		config: config, public: u, origin: u.Scheme + "://" + u.Host, secure: u.Scheme == "https",
		sealer: newSealer(config.PublicURL), table: config.Table, local: make(map[string]*Authorization),
	}
	if p.table == nil {
		p.table = newMemory(mostLinks, mostOfPerson)
	}
	return p, p.checkMap()
}

// isOwnPath reports whether a path ends as one below a connect page does: the two could not be told apart where a proxy
// cuts off the beginning.
func isOwnPath(path string) bool {
	own := []string{donePath, signInPath, signedInPath, signOutPath}
	for v := range turnedAway {
		own = append(own, "/"+string(v))
	}
	return slices.ContainsFunc(own, func(end string) bool { return strings.HasSuffix(path, end) }) ||
		strings.Contains(path+"/", callbackPath) || strings.Contains(path+"/", grantsPath+"/")
}

// Two people that nobody is, of an issuer that nobody knows.
var probes = [2]Person{
	{"https://nobody.invalid/0", "lazyauth-probe-6f1d"}, {"https://nobody.invalid/0", "lazyauth-probe-b3a7"},
}

// checkMap tries whether a mapping takes everybody for one person.
func (p *Page) checkMap() error {
	if p.config.Map == nil {
		return nil
	}
	one, err := p.identity(probes[0])
	other, err2 := p.identity(probes[1])
	if err == nil && err2 == nil && one == other {
		return errors.New("the function Map returns the same identity for two people, who could then use each other's links: return an error for whom it does not know")
	}
	for _, err := range []error{err, err2} {
		if guard.IsMishap(err) {
			return fmt.Errorf("the function Map failed for a person that it does not know: %w", err)
		}
	}
	return nil
}

// isLoopback reports whether a host is this machine by its own account.
func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && addr.IsLoopback()
}

// isPlain reports whether a path is sent by every browser as it is written.
func isPlain(path string) bool {
	for part := range strings.SplitSeq(path, "/") {
		if part == "." || part == ".." {
			return false
		}
	}
	return strings.IndexFunc(path, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-._~/", r)
	}) < 0
}

// URL returns the address of the page.
func (p *Page) URL() string { return p.config.PublicURL }

// RedirectURI returns where browsers come back to that were sent to an issuer by a client of this name: another
// address for each.
func (p *Page) RedirectURI(issuer, client string) string {
	return p.config.PublicURL + callbackPath + authcode.PathOf(issuer, client)
}

// Format writes no key, whatever the verb.
func (p *Page) Format(s fmt.State, _ rune) { fmt.Fprintf(s, "connect.Page{%s}", p.config.PublicURL) }

// ErrUnknown says that nobody is known to sit at a browser.
var ErrUnknown = errors.New("connect: it is not known who sits at this browser")

// who returns who sits at the browser, and the identity that they are compared by. The author's function gets a
// copy of the request without its body, which it may still have when this returns.
func (p *Page) who(r *http.Request) (who guest, identity Person, err error) {
	what := "ConnectOptions.Who"
	if p.config.Sessions != nil {
		what = "ConnectOptions.SignIn.Session"
	}
	who, err = guard.Await(r.Context(), &p.late, what, whoWait, func(ctx context.Context) (g guest, err error) {
		if p.config.Sessions != nil {
			g.Person, g.name, err = p.config.Sessions.Session(bare(ctx, r))
		} else {
			g.Person, err = p.config.Who(bare(ctx, r))
		}
		return g, err
	})
	if err != nil {
		p.failed(err)
		return guest{}, Person{}, errors.Join(ErrUnknown, err)
	}
	identity, err = p.identity(who.Person)
	if err != nil {
		p.failed(err)
	}
	return who, identity, err
}

// identity returns what a person is compared by.
func (p *Page) identity(who Person) (Person, error) {
	if who.Subject == "" {
		return Person{}, ErrUnknown
	}
	if p.config.Map == nil {
		return who, nil
	}
	identity, err := guard.Await(context.Background(), &p.late, "ConnectOptions.Map", whoWait, func(context.Context) (Person, error) {
		return p.config.Map(who)
	})
	if err == nil && identity.Subject == "" {
		err = ErrUnknown
	}
	return identity, err
}

// name returns what the page calls a person.
func (p *Page) name(who guest) string {
	name := cmp.Or(who.name, who.Subject)
	if p.config.Name != nil {
		said, err := guard.Await(context.Background(), &p.late, "ConnectOptions.Name", whoWait, func(context.Context) (string, error) {
			return p.config.Name(who.Person), nil
		})
		p.failed(err)
		name = cmp.Or(said, name)
	}
	return showable(name, mostName)
}

// failed has the program's log say once that a function of the author's panicked or did not return.
func (p *Page) failed(err error) {
	if guard.IsMishap(err) {
		p.mishap.Do(func() { slog.Default().Error("lazyauth: a function of the connect page failed", "cause", err.Error()) })
	}
}

// of returns the sign-in of a link, if it is of this process.
func (p *Page) of(link string) *Authorization {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.local[link]
}
