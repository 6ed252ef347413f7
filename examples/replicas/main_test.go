package main

import (
	"strings"
	"testing"
)

// What is wrong with the command line, or with the store that it names, is said once, before anything is started, and
// without the password.
func TestRun_Refused(t *testing.T) {
	const nobody = "127.0.0.1:1" // where nobody is given a port
	for args, want := range map[string]string{
		"":                                       "give -approve",
		"-approve -kills -1":                     "are from 0 on",
		"-approve postgres":                      "arguments beside the flags",
		"-approve -store mysql":                  "none of postgres, redis and file",
		"-approve -store mysql://u:hunter2@h/db": "no store for mysql://",
		"-approve -store redis://:hunter2@" + nobody:             "does it run",
		"-approve -store postgres://u:hunter2@" + nobody + "/db": "does it run",
		"-approve -store postgres://u:hun%ter2@" + nobody + "/":  "cannot be read",
		"-approve -without nothing":                              "-without",
	} {
		t.Run(args, func(t *testing.T) {
			var out strings.Builder
			err := run(t.Context(), strings.Fields(args), &out)
			if err == nil {
				t.Fatal("no error")
			}
			if text := err.Error(); !strings.Contains(text, want) || strings.Contains(text, "hunter2") || strings.Contains(text, "\n") {
				t.Errorf("%s; want %q", text, want)
			}
			if out.Len() > 0 {
				t.Errorf("it has played: %s", &out)
			}
		})
	}
}
