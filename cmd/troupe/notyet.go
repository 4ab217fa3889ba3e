package main

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// What people who know such systems look for, and what there is instead. The
// README's table "not yet" says the same.
const (
	noGroups = "there are no consumer groups: a consumer keeps its own position, see troupe consume --from"
)

// notYetVerbs are verbs to come.
var notYetVerbs = map[string]string{
	"group": noGroups,
}

// unknownVerb is the error of a command that is not there.
func unknownVerb(c *cobra.Command, wrote string) error {
	if why, ok := notYetVerbs[wrote]; ok && c == c.Root() {
		return usagef("troupe %s: not yet: %s", wrote, why)
	}
	var names []string
	for _, child := range c.Commands() {
		if child.IsAvailableCommand() {
			names = append(names, child.Name())
		}
	}
	if near := similar(wrote, names); len(near) > 0 {
		return usagef("unknown command %q for %q: did you mean %s? See %s --help", wrote, c.CommandPath(), orList(near), c.CommandPath())
	}
	return usagef("unknown command %q for %q: see %s --help", wrote, c.CommandPath(), c.CommandPath())
}

func flagNames(c *cobra.Command) (names []string) {
	c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	return names
}

// unknownFlag explains the library's error about a flag.
func unknownFlag(c *cobra.Command, err error) error {
	_, name, ok := strings.Cut(err.Error(), "unknown flag: --")
	if !ok {
		return usagef("%w: see %s --help", err, c.CommandPath())
	}
	if near := similar(name, flagNames(c)); len(near) > 0 {
		return usagef("%w: did you mean --%s? See %s --help", err, strings.Join(near, " or --"), c.CommandPath())
	}
	return usagef("%w: see %s --help", err, c.CommandPath())
}
