package grants

import (
	"slices"
	"strings"
)

const (
	// maxHosts is how many hosts a grant remembers by which it was asked for: the latest.
	maxHosts = 8
	// maxHostName is the length of what is remembered of a host's name, in bytes.
	maxHostName = 80
)

// withHosts returns hosts with these names behind them, each once, as far as they are remembered. They
// are what programs call themselves, which is anybody's text: whoever shows them has to escape them.
func withHosts(hosts []string, names ...string) []string {
	all := slices.Clone(hosts)
	for _, name := range names {
		if len(name) > maxHostName {
			name = name[:maxHostName]
		}
		if name = strings.ToValidUTF8(name, ""); name == "" {
			continue
		}
		all = append(slices.DeleteFunc(all, func(other string) bool { return other == name }), name)
	}
	return all[max(0, len(all)-maxHosts):]
}

// askedBy notes that a call of a host of this name waits for f, too; Owner.mu is held.
func askedBy(f *Flight, name string) { f.programs = withHosts(f.programs, name) }

// follow notes that f has brought g, which comes after the owner's grant, if there is one; Owner.mu
// is held.
func follow(g *Grant, f *Flight) {
	g.asked, g.hosts, g.instead = f.want, f.programs, f.anew
	if old := f.owner.Grant(); old != nil {
		g.asked = g.asked.Union(old.asked)
		g.hosts = withHosts(old.hosts, f.programs...)
	}
}

// Hosts returns what the programs call themselves through which g was asked for, the latest last.
// Anybody can call themselves anything. Which programs use it is not known.
func (g *Grant) Hosts() []string { return slices.Clone(g.hosts) }
