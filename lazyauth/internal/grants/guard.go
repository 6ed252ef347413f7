package grants

import (
	"fmt"
	"runtime"
)

// guard calls what the program's author gave, and makes an error of its panic, which would
// end the server on a goroutine of ours. The value may hold anything, a token included, so
// that only the runtime's own are quoted.
func guard(what string, f func() error) (err error) {
	defer func() {
		switch v := recover().(type) {
		case nil:
		case runtime.Error:
			err = fmt.Errorf("lazyauth: %s panicked: %w", what, v)
		default:
			err = fmt.Errorf("lazyauth: %s panicked with a %T", what, v)
		}
	}()
	return f()
}
