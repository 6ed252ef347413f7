package hostcheck

import "time"

var era = Scenario{
	Name: "era", Title: "Finding out which protocol the server speaks",
	Description: "A server of the older era answers whatever comes before initialize with an error of its own choice. A host " +
		"that asks with server/discover first takes any such error for what it is, and initializes; it asks for nothing else " +
		"until that is answered, which takes a moment.",
	Protocols: legacyOnly, Transports: stdioOnly,
	Checks: []string{"A57", "B21"},
	Ask:    "Restart your host, or have it connect to the server anew. Then make the call.",
	script: script{
		steps:      inTurn("first"),
		play:       func(f *flow) { f.text(foundText) },
		refusal:    -32000,
		deliberate: 300 * time.Millisecond,
		guided:     true,
	},
}

var silent = Scenario{
	Name: "silent", Title: "A server that does not answer the question",
	Description: "A server of the older era does not answer whatever comes before initialize. A host that asks with " +
		"server/discover first waits for a while, and then initializes.",
	Protocols: legacyOnly, Transports: stdioOnly,
	Checks: []string{"B47"},
	Ask:    "Restart your host, or have it connect to the server anew. Then make the call.",
	script: script{
		steps:  inTurn("first"),
		play:   func(f *flow) { f.text(foundText) },
		silent: true,
		guided: true,
		limit:  silence,
	},
}

var versions = Scenario{
	Name: "versions", Title: "A server of a version to come",
	Description: "The server speaks a version that no host knows yet, and refuses all others with -32022, which names it. The " +
		"host says that there is no version in common; it does not take the server for one of the older era.",
	Protocols: modernOnly, Transports: everywhere,
	Checks: []string{"B39", "B48"},
	Ask:    "Restart your host, or have it connect to the server anew. Then make the call, which fails.",
	script: script{
		steps:    inTurn("first"),
		play:     func(f *flow) { f.text(foundText) },
		speaks:   []string{"2027-01-15"},
		hopeless: true,
		guided:   true,
	},
}

var strangeVersion = Scenario{
	Name: "strange-version", Title: "A server of a version that nobody knows",
	Description: "The server answers initialize with a version that does not exist. The host goes no further.",
	Protocols:   legacyOnly, Transports: everywhere,
	Checks: []string{"A58"},
	Ask:    "Restart your host, or have it connect to the server anew. Then make the call, which fails.",
	script: script{
		steps:    inTurn("first"),
		play:     func(f *flow) { f.text(foundText) },
		speaks:   []string{"1999-12-31"},
		hopeless: true,
		guided:   true,
	},
}

// silence is how long a server that does not answer is waited for at the most: a host
// cannot know whether it is still starting, and may give it some time.
const silence = 45 * time.Second

// supported are the versions that the server speaks.
func (s *session) supported() []string {
	if s.scenario.speaks != nil {
		return s.scenario.speaks
	}
	return []string{s.protocol}
}
