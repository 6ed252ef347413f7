package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/examples/internal/demo"
)

func TestAsksForOneAfterTheOther(t *testing.T) {
	for _, protocol := range demo.Protocols {
		for _, flow := range demo.Flows {
			t.Run(protocol+" "+flow, func(t *testing.T) {
				t.Parallel()
				var stdout, stderr bytes.Buffer
				if code := services.Run(t.Context(), []string{"-approve", "-protocol", protocol, "-flow", flow}, &stdout, &stderr); code != 0 {
					t.Fatalf("exit code %d\n%s%s", code, stderr.String(), stdout.String())
				}
				for _, want := range []string{
					`"text":"Try two services (Ada Example)"}`,
					`"text":"And once more (Ada Example)"}`,
					"Directory  GET /me 200, GET /me 200\n",
					"Notes      POST /notes 201, POST /notes 201\n",
				} {
					if strings.Count(stdout.String(), want) != 1 {
						t.Errorf("it does not say once: %s\n%s", want, stdout.String())
					}
				}
			})
		}
	}
}
