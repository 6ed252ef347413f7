// Package agents runs programs with a language model in them as they are
// installed, and other MCP hosts, each in a home directory of its own: their
// configuration, their terminal and its dialogs, and what they leave behind.
//
// In place of the language model there is a script (package model). The agents
// themselves are real, and pinned in npm.
package agents

import (
	"context"
	"errors"
	"slices"
)

// An Agent is a program in one of its modes.
type Agent struct {
	Name  string // on the command line
	Title string // on the page
	// Folder is below npm, and Module the package in it that is measured.
	Folder, Module string
	// ShowsProgress says whether a person sees the messages of progress
	// notifications. It was looked up on screens, which this package keeps.
	ShowsProgress bool
	// Declines is set where the person is to decline, and Quits where they quit the
	// program once it has asked them.
	Declines, Quits bool
	// Asks says that prompts come to whoever drives the agent ([Session].Ask), and
	// not to a person before a terminal.
	Asks bool

	configure func(*Session) (launch, error)
	adapter   *Adapter // of a host that has no model
}

// A launch is how an agent is started, once its configuration is written.
type launch struct {
	environment []string
	before      [][]string // commands that configure it
	command     []string
	// One of these, or neither for a program that runs to its end.
	terminal *terminal
	drive    func(context.Context, *Session, launch) error
}

// All are the agents of the page, in its order.
var All = slices.Concat(codexes, copilots, claudes, geminis, qwens, []Agent{opencode, kilo, cline, continued})

// ErrQuit is what [Session].Ask returns if the person quits the program that asks.
var ErrQuit = errors.New("the person has quit the program")

// Named is the agent of that name, which there must be.
func Named(name string) Agent {
	i := slices.IndexFunc(All, func(a Agent) bool { return a.Name == name })
	return All[i]
}

// The task of an agent, as a person would put it.
const task = "please call the tool"
