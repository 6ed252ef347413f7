package lazyauth_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The run would be worth little if it could not fail. The patch takes out what was mended
// when requests of a finished call were left waiting, showed its prompt again, and ended the
// process by a cancel function that was nil; in a copy of the source that has it the run
// must find that.
func TestSuspended_RunFindsTheFormerFault(t *testing.T) {
	switch {
	case testing.Short():
		t.Skip("it compiles the package anew")
	case raceDetector:
		t.Skip("the same without the race detector")
	}
	git, err := exec.LookPath("git")
	if err != nil {
		t.Skip("there is no git to apply the patch with")
	}
	patch, err := filepath.Abs("testdata/finishedcall.patch")
	if err != nil {
		t.Fatal(err)
	}
	module := t.TempDir()
	for _, path := range []string{"go.mod", "go.sum", "internal", "elicit", "scopes", "lazyauth", "conformance/fakeas"} {
		copyInto(t, module, filepath.FromSlash(path))
	}
	in := func(name string, args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir = module
		cmd.Env = append(os.Environ(), runSeed+"=1", runBubbles+"=40",
			"GIT_CEILING_DIRECTORIES="+filepath.Dir(module), "GIT_DIR=") // the copy is in no repository
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := in(git, "apply", "--verbose", "-C1", patch); err != nil {
		t.Fatalf("lazyauth/testdata/finishedcall.patch does not apply to the present source: write it anew, so that a finished call "+
			"does not end the waits of its other requests, shows its prompt again, and calls a nil cancel (%v)\n%s", err, out)
	}
	if out, err := in("go", "build", "./lazyauth"); err != nil {
		t.Fatalf("with lazyauth/testdata/finishedcall.patch the source does not compile: write it anew (%v)\n%s", err, out)
	}
	out, err := in("go", "test", "-count=1", "-failfast", "-run", "^TestSuspended_Run$", "./lazyauth")
	switch {
	case err == nil:
		t.Errorf("the run passes although the mend is out:\n%s", out)
	case !strings.Contains(out, "still waits in a call") && !strings.Contains(out, "is shown although") && !strings.Contains(out, "nil pointer dereference"):
		t.Errorf("the run fails, and not for the fault:\n%s", out)
	}
}

// copyInto copies a file or folder of this module to the same place in another.
func copyInto(t *testing.T, module, path string) {
	t.Helper()
	from, to := filepath.Join("..", path), filepath.Join(module, path)
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(from)
	if err == nil && info.IsDir() {
		err = os.CopyFS(to, os.DirFS(from))
	} else if err == nil {
		var content []byte
		if content, err = os.ReadFile(from); err == nil {
			err = os.WriteFile(to, content, 0o600)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}
