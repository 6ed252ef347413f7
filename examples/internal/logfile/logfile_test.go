package logfile_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/examples/internal/logfile"
)

func TestLogIsAppendedTo(t *testing.T) {
	name := filepath.Join(t.TempDir(), "log")
	for _, message := range []string{"first", "second"} {
		log, closeLog, err := logfile.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		log.Info(message)
		closeLog()
	}
	text, err := os.ReadFile(name)
	if err != nil || strings.Count(string(text), "\n") != 2 || !strings.Contains(string(text), `"msg":"first"`) {
		t.Errorf("%s, %v; want two lines", text, err)
	}
}

func TestWithoutANameNothingIsLogged(t *testing.T) {
	log, closeLog, err := logfile.Open("")
	if err != nil {
		t.Fatal(err)
	}
	log.Info("nothing")
	closeLog()
}
