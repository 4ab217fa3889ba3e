package main

import (
	"errors"
	"fmt"
	"strings"
)

// usage is an error in how a command was called: exit code 2.
type usage struct{ error }

func usagef(format string, args ...any) error { return usage{fmt.Errorf(format, args...)} }

// exitCode is 0 when done, 2 for wrong usage and 1 for everything else.
func exitCode(err error) int {
	var u usage
	switch {
	case err == nil:
		return 0
	case errors.As(err, &u):
		return 2
	}
	return 1
}

// oneLine is what err says, on one line.
func oneLine(err error) string {
	return strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}
