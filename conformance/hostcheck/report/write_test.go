package report_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/report"
)

// ours is a check of the lazy-auth profile.
func ours(c hostcheck.Check) hostcheck.Check {
	c.Source = &hostcheck.Source{ExtensionID: hostcheck.ProfileID}
	return c
}

// The files of a run are those of the official suite; what the lazy-auth profile demands
// is in one of its own.
func TestWrite(t *testing.T) {
	r := sample()
	for i := range r.Results {
		r.Results[i].Checks = append(r.Results[i].Checks, ours(check("P3", hostcheck.Failure, "it was answered at once")))
	}
	folder := filepath.Join(t.TempDir(), "a", "b")
	for range 2 { // the second time over the first
		if err := report.Write(folder, r, report.Options{}); err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	err := filepath.WalkDir(folder, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s can be read by others: %v", path, info.Mode())
		}
		name, err := filepath.Rel(folder, path)
		names = append(names, filepath.ToSlash(name))
		return err
	})
	want := []string{
		"junit.xml", "report.html", "report.json",
	}
	for _, run := range []string{"http", "stdio"} {
		for _, name := range []string{"checks.json", "profile.json", "stderr.txt", "stdout.txt"} {
			want = append(want, "results/consent-2025-11-25-"+run+"-2026-11-23T03-05-06-789Z/"+name)
		}
	}
	if err != nil || !slices.Equal(names, want) {
		t.Errorf("%v %q", err, names)
	}
	for i, contents := range map[int]string{5: "host: warming up\n", 6: "my host 1.0\n"} {
		if data, err := os.ReadFile(filepath.Join(folder, want[i])); err != nil || string(data) != contents {
			t.Errorf("%s: %v %q", want[i], err, data)
		}
	}
	for i, ids := range map[int]string{3: "A10 A11 A25 A8", 4: "P3"} {
		data, err := os.ReadFile(filepath.Join(folder, want[i]))
		if err != nil || validate(t, schema(t), data) != nil {
			t.Errorf("%v %s", err, data)
		}
		var checks []hostcheck.Check
		if err := json.Unmarshal(data, &checks); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range checks {
			got = append(got, c.ID)
		}
		if strings.Join(got, " ") != ids {
			t.Errorf("%s has %q, want %s", want[i], got, ids)
		}
	}
	// A file where a folder is to be.
	if err := report.Write(filepath.Join(folder, "junit.xml"), sample(), report.Options{}); err == nil {
		t.Error("wrote into a file")
	}
}

// Of a run in which nothing applied there is no checks.json, which the official suite
// would take for one of a scenario that failed.
func TestWriteNothingApplied(t *testing.T) {
	r := sample()
	for i := range r.Results[0].Checks {
		r.Results[0].Checks[i].Status = hostcheck.Skipped
	}
	folder := t.TempDir()
	if err := report.Write(folder, r, report.Options{}); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(folder, "results", "*", "checks.json"))
	if err != nil || len(files) != 1 || !strings.Contains(files[0], hostcheck.HTTP) {
		t.Errorf("%v %q", err, files)
	}
}
