package browser

import (
	"os"
	"path"
	"runtime"
	"strconv"
	"strings"
)

// Surroundings are where signs are looked for. [Here] is this process's.
type Surroundings struct {
	// OS is runtime.GOOS: what stands in files is looked for on Linux alone, where
	// other systems have nothing that can be read without help.
	OS string
	// Getenv returns a variable of the environment, of which hosts pass on what they like.
	Getenv func(string) string
	// ReadFile returns what a file holds. What cannot be read counts as not there.
	ReadFile func(string) ([]byte, error)
	// PID is the process whose parents are looked at.
	PID int
}

// Here returns the surroundings of this process.
func Here() Surroundings {
	return Surroundings{OS: runtime.GOOS, Getenv: os.Getenv, ReadFile: os.ReadFile, PID: os.Getpid()}
}

// mostParents is how many parents are looked at.
const mostParents = 32

// Against returns what speaks against a browser on this machine, or rather one whose loopback is
// ours: a login from another machine, a container, a machine in a data centre. Nil means that
// nothing was found, and proves nothing: hosts filter the environment, and editors that work on
// another machine leave their servers there without a parent. So whoever relies on it must
// have another way for the case that nobody comes. Neither does what it returns prove anything.
//
// It reads some small files, and does not block otherwise. Its texts are for logs.
func Against(s Surroundings) []string {
	var signs []string
	for _, v := range variables {
		if s.Getenv(v.name) != "" && !s.sharesLoopback(v.container) {
			signs = append(signs, v.name+" is set: "+v.means)
		}
	}
	if s.OS != "linux" {
		return signs
	}
	for _, file := range []string{"/.dockerenv", "/run/.containerenv"} {
		if _, err := s.ReadFile(file); err == nil && !s.sharesLoopback(true) {
			signs = append(signs, file+" is there: this is a container")
		}
	}
	if release, err := s.ReadFile("/proc/sys/kernel/osrelease"); err == nil && strings.Contains(strings.ToLower(string(release)), "microsoft") {
		signs = append(signs, "the kernel is that of WSL: the browser is on Windows")
	}
	if group, err := s.ReadFile("/proc/self/cgroup"); err == nil {
		if sign := s.judgeGroup(string(group)); sign != "" {
			signs = append(signs, sign)
		}
	}
	for name, command := range s.parents() {
		if sign := judgeParent(name, command); sign != "" {
			signs = append(signs, sign)
			break
		}
	}
	return signs
}

// variables are those that are set where the person sits elsewhere.
var variables = []struct {
	name, means string
	container   bool
}{
	{"SSH_CONNECTION", "somebody is logged in from another machine", false},
	{"SSH_CLIENT", "somebody is logged in from another machine", false},
	{"SSH_TTY", "somebody is logged in from another machine", false},
	{"CODESPACES", "this is a GitHub codespace", false},
	{"GITPOD_WORKSPACE_ID", "this is a Gitpod workspace", false},
	{"CLOUD_SHELL", "this is a cloud shell", false},
	{"REMOTE_CONTAINERS", "this is a development container", false},
	{"VSCODE_AGENT_FOLDER", "an editor works here from another machine", false},
	{"KUBERNETES_SERVICE_HOST", "this is a pod of Kubernetes", false},
	{"container", "this is a container", true},
	{"CI", "nobody sits before it", false},
}

// sharesLoopback reports whether a sign of a container is that of one which has the machine's
// network, and opens the machine's browser.
func (s Surroundings) sharesLoopback(container bool) bool {
	return container && (s.Getenv("TOOLBOX_PATH") != "" || s.Getenv("DISTROBOX_ENTER_PATH") != "")
}

// judgeGroup looks at the control groups of a process.
func (s Surroundings) judgeGroup(groups string) string {
	for line := range strings.Lines(groups) {
		_, group, _ := strings.Cut(strings.TrimSpace(line), ":")
		_, group, _ = strings.Cut(group, ":")
		for part := range strings.SplitSeq(group, "/") {
			for _, runtime := range []string{"docker", "kubepods", "containerd", "cri-", "libpod", "crio", "lxc"} {
				if strings.HasPrefix(part, runtime) && !s.sharesLoopback(true) {
					return "its control group is that of a container"
				}
			}
		}
		if strings.HasPrefix(group, "/system.slice/") && strings.Contains(group, ".service") {
			return "its control group is that of a system service"
		}
	}
	return ""
}

// parents returns the names of the processes above, the nearest first, with the programs that
// they run.
func (s Surroundings) parents() func(yield func(name, command string) bool) {
	return func(yield func(name, command string) bool) {
		pid := s.PID
		for range mostParents {
			stat, err := s.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
			if err != nil {
				return
			}
			name, parent, ok := readStat(string(stat))
			if !ok {
				return
			}
			command, _ := s.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
			first, _, _ := strings.Cut(string(command), "\x00")
			if pid != s.PID && !yield(name, first) || parent <= 1 {
				return
			}
			pid = parent
		}
	}
}

// readStat reads name and parent out of proc_pid_stat(5). The name may have blanks and brackets.
func readStat(stat string) (name string, parent int, ok bool) {
	from, to := strings.IndexByte(stat, '('), strings.LastIndexByte(stat, ')')
	if from < 0 || to < from {
		return "", 0, false
	}
	rest := strings.Fields(stat[to+1:])
	if len(rest) < 2 {
		return "", 0, false
	}
	parent, err := strconv.Atoi(rest[1])
	return stat[from+1 : to], parent, err == nil && parent >= 0
}

// judgeParent looks at a process above, by its name and the program that it runs.
func judgeParent(name, program string) string {
	switch name {
	case "sshd", "sshd-session", "sshd-auth", "dropbear", "mosh-server", "etserver", "tailscaled", "telnetd", "in.telnetd":
		return "it was started by " + name + ": somebody is logged in from another machine"
	case "containerd-shim", "conmon", "docker-init", "tini", "catatonit":
		return "it was started by " + name + ": this is a container"
	}
	for part := range strings.SplitSeq(program, "/") {
		switch part {
		case ".vscode-server", ".vscode-server-insiders", ".vscodium-server", ".cursor-server", ".windsurf-server", ".positron-server", "JetBrainsRemoteDev":
			return "it was started by " + path.Base(part) + ": an editor works here from another machine"
		}
	}
	return ""
}
