package lazyauth_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The run would be worth little if it could not fail. The patch takes out what was mended
// when requests of a finished call were left waiting, showed its prompt again, and ended the
// process by a cancel function that was nil; in a build of the source that has it the run
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
	// The go command puts the patched files in the places of the present ones, so that only
	// this package is compiled anew.
	dir, replaced := t.TempDir(), make(map[string]string)
	for _, name := range []string{"lifecycle.go", "suspendedhost.go"} {
		present, err := filepath.Abs(name)
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		replaced[present] = filepath.Join(dir, name)
		if err := os.WriteFile(replaced[present], text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	overlay, program := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "broken.test")
	text, err := json.Marshal(map[string]any{"Replace": replaced})
	if err == nil {
		err = os.WriteFile(overlay, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	in := func(dir, name string, args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), runSeed+"=1", runBubbles+"=40",
			"GIT_CEILING_DIRECTORIES="+filepath.Dir(dir), "GIT_DIR=") // the copies are in no repository
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := in(dir, git, "apply", "--verbose", "-C1", "-p2", patch); err != nil {
		t.Fatalf("lazyauth/testdata/finishedcall.patch does not apply to the present source: write it anew, so that a finished call "+
			"does not end the waits of its other requests, shows its prompt again, and calls a nil cancel (%v)\n%s", err, out)
	}
	if out, err := in("", "go", "test", "-c", "-vet=off", "-o", program, "-overlay", overlay, "."); err != nil {
		t.Fatalf("with lazyauth/testdata/finishedcall.patch the source does not compile: write it anew (%v)\n%s", err, out)
	}
	out, err := in("", program, "-test.failfast", "-test.run", "^TestSuspended_Run$")
	switch {
	case err == nil:
		t.Errorf("the run passes although the mend is out:\n%s", out)
	case !strings.Contains(out, "still waits in a call") && !strings.Contains(out, "is shown although") && !strings.Contains(out, "nil pointer dereference"):
		t.Errorf("the run fails, and not for the fault:\n%s", out)
	}
}
