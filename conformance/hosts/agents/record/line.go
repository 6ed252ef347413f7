// Package record reads what went over the wire between an agent and a server:
// who was asked what, by which way, what was answered, and what became of each
// call.
package record

import (
	"encoding/json"
	"time"
)

// A Speaker is who said a line.
type Speaker string

// Those of the wire, and what happened to the server's process.
const (
	Agent   Speaker = "agent"
	Server  Speaker = "server"
	Stderr  Speaker = "stderr" // the server's, which agents log
	Started Speaker = "started"
	Ended   Speaker = "ended"
)

// A Line is one of a recording.
type Line struct {
	At      time.Time `json:"at"`
	Process int       `json:"process"` // of the relay: each has a server
	From    Speaker   `json:"from"`
	Text    string    `json:"text"`
}

// Encode is the line as it stands in a file, with its end.
func (l Line) Encode() []byte {
	raw, err := json.Marshal(l)
	if err != nil {
		panic(err) // a time after the year 9999
	}
	return append(raw, '\n')
}
