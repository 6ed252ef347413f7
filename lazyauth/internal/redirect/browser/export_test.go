package browser

import "context"

// A System is one whose parts a test gives.
type System struct {
	OS, Home, Temp string
	Missing        bool                                                         // the program
	Snap           bool                                                         // snapd is installed
	Run            func(ctx context.Context, name string, args ...string) error // nil: the real one
}

// Open is [Open] on such a system.
func (s System) Open(ctx context.Context, link string) error {
	inner := system{
		os: s.OS, temp: s.Temp, run: run,
		home: func() (string, error) { return s.Home, nil },
		lookPath: func(name string) (string, error) {
			if s.Missing {
				return "", ErrNoBrowser
			}
			return name, nil
		},
		isThere: func(path string) bool { return s.Snap && path == "/snap/bin" || path == s.Home },
	}
	if s.Run != nil {
		inner.run = s.Run
	}
	return inner.open(ctx, link)
}

// Run is run.
var Run = run
