package browser_test

import (
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/redirect/browser"
)

// desktop is a process of a desktop's terminal on Linux.
func desktop() (env, files map[string]string) {
	return map[string]string{"HOME": "/home/ada"}, map[string]string{
		"/proc/sys/kernel/osrelease": "6.8.0-45-generic\n",
		"/proc/self/cgroup":          "0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-code.scope\n",
		"/proc/400/stat":             "400 (notes-server) S 300 400 300 0 -1",
		"/proc/300/stat":             "300 (a name) with ) S 200 300",
		"/proc/300/cmdline":          "/usr/share/code/code\x00--type=utility",
		"/proc/200/stat":             "200 (systemd) S 1 200",
	}
}

func look(system string, env, files map[string]string) []string {
	return browser.Against(browser.Surroundings{
		OS: system, PID: 400,
		Getenv: func(name string) string { return env[name] },
		ReadFile: func(name string) ([]byte, error) {
			if text, ok := files[name]; ok {
				return []byte(text), nil
			}
			return nil, os.ErrNotExist
		},
	})
}

func TestAgainst(t *testing.T) {
	for name, test := range map[string]struct {
		env, files map[string]string // beside those of a desktop
		want       string            // in the sign; none if empty
	}{
		"a desktop":                        {nil, nil, ""},
		"SSH":                              {map[string]string{"SSH_CONNECTION": "192.0.2.1 5000 192.0.2.2 22"}, nil, "SSH_CONNECTION"},
		"SSH, filtered":                    {nil, map[string]string{"/proc/300/stat": "300 (sshd-session) S 200"}, "sshd-session"},
		"SSH, further up":                  {nil, map[string]string{"/proc/200/stat": "200 (sshd) S 1"}, "sshd"},
		"mosh":                             {nil, map[string]string{"/proc/300/stat": "300 (mosh-server) S 200"}, "mosh-server"},
		"an editor from afar":              {nil, map[string]string{"/proc/300/cmdline": "/home/ada/.vscode-server/bin/abc/node\x00x"}, ".vscode-server"},
		"an editor here":                   {nil, map[string]string{"/proc/300/cmdline": "/home/ada/vscode-server-notes/node"}, ""},
		"a codespace":                      {map[string]string{"CODESPACES": "true"}, nil, "codespace"},
		"Docker":                           {nil, map[string]string{"/.dockerenv": ""}, "container"},
		"Podman":                           {map[string]string{"container": "podman"}, map[string]string{"/run/.containerenv": ""}, "container"},
		"Toolbox":                          {map[string]string{"container": "oci", "TOOLBOX_PATH": "/usr/bin/toolbox"}, map[string]string{"/run/.containerenv": ""}, ""},
		"Toolbox over SSH":                 {map[string]string{"TOOLBOX_PATH": "/usr/bin/toolbox", "SSH_TTY": "/dev/pts/1"}, nil, "SSH_TTY"},
		"a container's group v1":           {nil, map[string]string{"/proc/self/cgroup": "4:memory:/docker/8c1c2128\n"}, "container"},
		"a pod's group":                    {nil, map[string]string{"/proc/self/cgroup": "0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-1.scope\n"}, "container"},
		"a service":                        {nil, map[string]string{"/proc/self/cgroup": "0::/system.slice/notes.service\n"}, "service"},
		"WSL":                              {nil, map[string]string{"/proc/sys/kernel/osrelease": "5.15.153.1-microsoft-standard-WSL2\n"}, "WSL"},
		"a runner":                         {map[string]string{"CI": "true"}, nil, "CI"},
		"no DISPLAY, which proves nothing": {map[string]string{"DISPLAY": ""}, nil, ""},
		"a loop of parents":                {nil, map[string]string{"/proc/200/stat": "200 (x) S 300"}, ""},
		"no parents to be read":            {nil, map[string]string{"/proc/300/stat": "300 sshd S"}, ""},
	} {
		env, files := desktop()
		maps.Copy(env, test.env)
		maps.Copy(files, test.files)
		signs := look("linux", env, files)
		switch got := strings.Join(signs, "; "); {
		case test.want == "" && got != "":
			t.Errorf("%s: %s", name, got)
		case !strings.Contains(got, test.want):
			t.Errorf("%s: %q, want %s", name, got, test.want)
		}
	}
	// Elsewhere the environment is all there is.
	env, files := desktop()
	files["/.dockerenv"] = ""
	if signs := look("darwin", env, files); signs != nil {
		t.Errorf("on macOS: %q", signs)
	}
	env["SSH_CLIENT"] = "192.0.2.1"
	if signs := look("windows", env, files); len(signs) != 1 {
		t.Errorf("on Windows: %q", signs)
	}
}

// It runs where it is, whatever it finds.
func TestHere(t *testing.T) {
	for _, sign := range browser.Against(browser.Here()) {
		if sign == "" || strings.ContainsAny(sign, "\n\x00") {
			t.Errorf("sign %q", sign)
		}
	}
}
