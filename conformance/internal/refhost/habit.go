package refhost

import "slices"

// A Habit is something that few hosts do and that every host may. The empty one is
// nothing out of the ordinary.
type Habit string

// The habits.
const (
	Ordinary Habit = ""

	// OpensThenAccepts has no hooks: its person agrees at once, and the browser is
	// at the page before the answer is at the server.
	OpensThenAccepts Habit = "opens-then-accepts"
)

// Habits returns all habits but the ordinary.
func Habits() []Habit { return slices.Clone(habits) }

var habits = []Habit{
	OpensThenAccepts,
}
