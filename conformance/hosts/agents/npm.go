package agents

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// Root is this package's folder, from where commands are run: that of the module.
const Root = "agents"

// modules is where npm puts what a folder asks for.
func modules(folder string) string {
	path, err := filepath.Abs(filepath.Join(Root, "npm", folder, "node_modules"))
	if err != nil {
		panic(err) // there is no working directory
	}
	return path
}

// Install installs what folders of npm ask for, as their lock files have it. No
// script of a package is run. What is there already is left alone.
//
// It is not npm ci, which refuses a lock file that lacks a package of some other
// platform: registries do not have all of those, and none of them is installed here.
func Install(ctx context.Context, folders []string, log io.Writer) error {
	for _, folder := range folders {
		if installed(folder) {
			continue
		}
		fmt.Fprintln(log, "installing", folder)
		cmd := exec.CommandContext(ctx, "npm", "install", "--prefix", filepath.Join(Root, "npm", folder), //nolint:gosec // folders of our own
			"--no-save", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error")
		cmd.Stdout, cmd.Stderr = log, log
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("npm install in %s: %w", folder, err)
		}
	}
	return nil
}

// Folders are all that there are.
func Folders() []string {
	files, err := filepath.Glob(filepath.Join(Root, "npm", "*", "package.json"))
	if err != nil {
		panic(err) // of the pattern
	}
	var out []string
	for _, file := range files {
		out = append(out, filepath.Base(filepath.Dir(file)))
	}
	return out
}

// installed says whether the lock file is that of what is installed. npm leaves
// its own copy of it behind when all is done.
func installed(folder string) bool {
	lock, err := os.Stat(filepath.Join(Root, "npm", folder, "package-lock.json"))
	if err != nil {
		return false
	}
	done, err := os.Stat(filepath.Join(modules(folder), ".package-lock.json"))
	return err == nil && !done.ModTime().Before(lock.ModTime())
}

// Version is that of the agent as it is installed.
func (a Agent) Version() (string, error) {
	if a.adapter != nil {
		return a.adapter.Version, nil
	}
	raw, err := os.ReadFile(filepath.Join(modules(a.Folder), filepath.FromSlash(a.Module), "package.json"))
	if err != nil {
		return "", fmt.Errorf("%s is not installed: go run -C conformance/hosts ./measure install %s", a.Title, a.Folder)
	}
	var p struct{ Version string }
	return p.Version, json.Unmarshal(raw, &p)
}
