// Package browser opens a link in the person's browser, and looks for signs that there is
// none on this machine.
package browser
