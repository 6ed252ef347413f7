package agents

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hosts/agents/relay"
)

// Leftovers are the processes that an agent has left behind, some seconds after
// its end.
type Leftovers struct {
	Own    []string // the agent's: their commands
	Kept   int      // servers that one of those holds
	Orphan int      // servers that nothing holds any more
}

// String is for people to read.
func (l Leftovers) String() string {
	var all []string
	if n := len(l.Own); n > 0 {
		all = append(all, fmt.Sprintf("%d of its own", n))
	}
	if l.Kept > 0 {
		all = append(all, "with the server")
	}
	if l.Orphan > 0 {
		all = append(all, fmt.Sprintf("the server, %d times", l.Orphan))
	}
	if all == nil {
		return "none"
	}
	return strings.Join(all, ", ")
}

// straggle is how long processes may take to end after their agent has, on a busy machine as well.
const straggle = 10 * time.Second

// End ends what the agent has left behind, after having given it time to end by
// itself, and says what that was.
func (s *Session) End() Leftovers {
	var found []process
	for range int(straggle / glance) {
		if found = s.processes(); len(found) == 0 {
			return Leftovers{}
		}
		time.Sleep(glance) // processes end when they end, and say nothing
	}
	left := judge(found)
	for range 10 {
		for _, p := range found {
			_ = syscall.Kill(p.id, syscall.SIGKILL) // it may have gone
		}
		time.Sleep(glance / 2)
		if found = s.processes(); len(found) == 0 {
			break
		}
	}
	return left
}

// A process is one of the session.
type process struct {
	id, parent int
	command    string
	server     bool // it is the relay, or stands behind it
}

// processes are all that have the session's folder in their environment or their
// command: whatever an agent starts has it as its home. A daemon cannot get rid
// of it.
func (s *Session) processes() (out []process) {
	folders, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		panic(err) // of the pattern
	}
	for _, folder := range folders {
		environment, arguments, stat := about(folder, "environ"), about(folder, "cmdline"), about(folder, "stat")
		all := "\x00" + environment + "\x00" + arguments
		if !strings.Contains(all, s.dir+"/") {
			continue
		}
		p := process{command: strings.TrimSpace(strings.ReplaceAll(arguments, "\x00", " "))}
		p.id, _ = strconv.Atoi(filepath.Base(folder)) // the pattern has numbers
		fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
		if len(fields) < 2 || fields[0] == "Z" || p.id == os.Getpid() {
			continue
		}
		p.parent, _ = strconv.Atoi(fields[1])
		p.server = strings.Contains(all, "\x00"+relay.Mark+"=1\x00") || strings.Contains(arguments, s.Recording())
		out = append(out, p)
	}
	return out
}

// about reads what the system tells of a process: nothing of one that has ended,
// or is another user's.
func about(folder, what string) string {
	raw, err := os.ReadFile(filepath.Join(folder, what)) //nolint:gosec // below /proc
	if err != nil {
		return ""
	}
	return string(raw)
}

// Lives reports whether a process is there, and has not ended.
func Lives(id int) bool {
	stat := about(filepath.Join("/proc", strconv.Itoa(id)), "stat")
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	return len(fields) > 0 && fields[0] != "Z" && fields[0] != "X"
}

// judge tells what the agent left from what the server did. A server that a
// process of the agent's holds is no fault of the server's.
func judge(found []process) (l Leftovers) {
	byID := make(map[int]process)
	for _, p := range found {
		byID[p.id] = p
	}
	for _, p := range found {
		parent, known := byID[p.parent]
		switch {
		case !p.server:
			l.Own = append(l.Own, brief(p.command))
		case known && parent.server: // counted with the first
		case known:
			l.Kept++
		default:
			l.Orphan++
		}
	}
	slices.Sort(l.Own)
	return l
}

// brief is a command without what differs from one run to the next: folders,
// addresses and numbers, and what follows them.
func brief(command string) string {
	words := strings.Fields(command)
	if len(words) == 0 {
		return "a program without a name"
	}
	words[0] = filepath.Base(words[0])
	for i, word := range words {
		if i > 0 && strings.ContainsAny(word, "/0123456789") {
			return strings.Join(words[:i], " ") + " …"
		}
	}
	return strings.Join(words, " ")
}
