package guard

import (
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
)

// module is ours, and core the package that hosts and handlers meet.
const (
	module = "github.com/lazyauth/mcp-lazyauth/"
	core   = module + "lazyauth"
)

// IsOurs reports whether the panic that runs its deferred functions now comes from this
// library or from the MCP SDK, and not from a handler or anything else of the author's. It
// must be called by a deferred function; no panic at all is none of ours.
//
// What counts is the innermost function that is not of the standard library: who calls
// that with something that it does not bear is to blame.
func IsOurs() bool {
	frame, ok := origin()
	return ok && ours(frame.Function)
}

// Rethrow panics anew with what a handler on another goroutine panicked with: to [IsOurs]
// it is that handler's.
//
//go:noinline
func Rethrow(value any) { panic(value) }

func ours(function string) bool {
	switch {
	case strings.HasPrefix(function, core+"/internal/guard.Rethrow"), strings.Contains(function, "_test."):
		return false
	case strings.HasPrefix(function, core+"."), strings.HasPrefix(function, core+"/internal/"):
		return true
	}
	return strings.HasPrefix(function, "github.com/modelcontextprotocol/go-sdk/") ||
		strings.HasPrefix(function, "github.com/google/jsonschema-go/") ||
		strings.HasPrefix(function, "github.com/segmentio/encoding/") // of the SDK
}

// origin returns the frame in which a panic that is under way began, as [IsOurs] counts.
func origin() (runtime.Frame, bool) {
	pcs := make([]uintptr, 128)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	panicking := false
	for {
		frame, more := frames.Next()
		switch {
		case !panicking:
			panicking = frame.Function == "runtime.gopanic"
		case !isStandard(frame.Function) && !strings.HasPrefix(frame.Function, module+"scopes.") && frame.Function != "":
			// Package scopes panics for those who call it with what cannot be a scope.
			return frame, true
		}
		if !more {
			return runtime.Frame{}, false
		}
	}
}

// isStandard reports whether a function is of the standard library, whose packages have no
// dot in the first element of their path.
func isStandard(function string) bool {
	function, _, _ = strings.Cut(function, "[") // type arguments have paths, too
	first, _, nested := strings.Cut(function, "/")
	if !nested {
		first, _, _ = strings.Cut(first, ".")
	}
	switch {
	case strings.ContainsAny(first, ".%"): // a domain; at a path's end its dots are escaped
	case first == "main", first == "command-line-arguments", strings.HasSuffix(first, "_test"):
	case first == mainModule():
	default:
		return true
	}
	return false
}

// mainModule returns the first element of the program's module path, which need not have a
// dot.
var mainModule = sync.OnceValue(func() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	first, _, _ := strings.Cut(info.Main.Path, "/")
	return first
})
