package main

import (
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
)

// page is what is written, from the folder of this module. Its parts are written
// one by one: each begins at its heading and ends where the next begins.
const page = "../../docs/host-results.md"

const (
	headSignIn    = "## A sign-in, from the call to its result\n"
	headHostcheck = "## What hostcheck finds\n"
)

// replace puts a part in its place on the page.
func replace(whole, part, text string) (string, error) {
	_, rest, ok := strings.Cut(whole, headSignIn)
	signIn, checks, also := strings.Cut(rest, headHostcheck)
	if !ok || !also {
		return "", errors.New("docs/host-results.md has lost its headings")
	}
	signIn, checks = headSignIn+signIn, headHostcheck+checks
	if part == partSignIn {
		signIn = text
	} else {
		checks = text
	}
	return opening + signIn + checks, nil
}

// settle writes a part of the page, or says how the page differs.
func settle(part, text string, check bool, as func(string) string) error {
	before, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	now, err := replace(string(before), part, text)
	if err != nil {
		return err
	}
	if !check {
		return os.WriteFile(page, []byte(now), 0o644) //nolint:gosec // for everyone to read
	}
	if was, is := as(string(before)), as(now); was != is {
		return errors.New("docs/host-results.md is not what was measured:\n" + difference(was, is))
	}
	return nil
}

// exactly compares a text as it is.
func exactly(text string) string { return text }

var seconds = regexp.MustCompile(`\| (under 1|\d+) s(?: \|)`)

// timeless compares a text but for the times in its tables.
func timeless(text string) string {
	for seconds.MatchString(text) { // neighbours share a bar
		text = seconds.ReplaceAllString(text, "| … |")
	}
	return text
}

// difference has the lines that only one of two texts has.
func difference(before, after string) string {
	var b strings.Builder
	was, is := strings.Split(before, "\n"), strings.Split(after, "\n")
	for _, line := range was {
		if !slices.Contains(is, line) {
			b.WriteString("- " + line + "\n")
		}
	}
	for _, line := range is {
		if !slices.Contains(was, line) {
			b.WriteString("+ " + line + "\n")
		}
	}
	return b.String()
}
