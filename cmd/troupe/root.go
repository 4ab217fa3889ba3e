package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"syscall"

	"github.com/spf13/cobra"
)

// streams are what a command reads and writes: results on out, everything
// else on err.
type streams struct {
	in  io.Reader
	out io.Writer
	err io.Writer
	// terminal: a person sees err, and may be shown how far something is.
	terminal bool
	// piped: a person does not see out, so that err's bars do not mix with it.
	piped bool
}

// run is the whole program short of the process around it. That nobody reads
// its output any more, as with head, is no failure.
func run(ctx context.Context, args []string, in io.Reader, out, err io.Writer) error {
	root := newRoot(streams{in, reader{out}, err, isTerminal(err), !isTerminal(out)})
	root.SetArgs(args)
	if err := root.ExecuteContext(ctx); !onlyGone(err) {
		return err
	}
	return nil
}

var errGone = errors.New("nobody reads the output any more")

// onlyGone says whether errGone is all that failed.
func onlyGone(err error) bool {
	switch e := err.(type) {
	case interface{ Unwrap() []error }:
		return !slices.ContainsFunc(e.Unwrap(), func(one error) bool { return !onlyGone(one) })
	case interface{ Unwrap() error }:
		return onlyGone(e.Unwrap())
	}
	return err == errGone
}

// reader is where results go: somebody reads them, and may stop.
type reader struct{ io.Writer }

// Write implements io.Writer. A closed pipe is errGone.
func (r reader) Write(p []byte) (int, error) {
	n, err := r.Writer.Write(p)
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrClosedPipe) {
		err = errGone
	}
	return n, err
}

func newRoot(s streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "troupe",
		Short: "An event-streaming broker built of actors",
		Long: `Troupe keeps streams of records in topics, in order, durable before it
acknowledges, and replays them from any offset or point in time.`,
		Example: `  troupe serve --data ./data
  troupe produce access --create < access.log
  troupe consume access --from oldest`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	root.SetFlagErrorFunc(unknownFlag)
	root.AddCommand(newServe(s), newTopic(s), newProduce(s), newConsume(s), newBench(s), newDemo(s), newSim(s), newChaos(s), newLogVerb(s), newCerts(s), newKeygen(s), newCluster(s), newVersion(s))
	wrapArgs(root)
	completeRest(root)
	addCompletion(root)
	return root
}

// addCompletion adds the library's own verb, which writes scripts for shells.
func addCompletion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() != "completion" {
			continue
		}
		c.Short = "Write a script that completes commands, topics and settings in a shell"
		c.Example = "  troupe completion bash > /etc/bash_completion.d/troupe"
		c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
		for _, shell := range c.Commands() {
			shell.Example = shellExamples[shell.Name()]
		}
		wrapArgs(c)
	}
}

var shellExamples = map[string]string{
	"bash":       "  troupe completion bash > /etc/bash_completion.d/troupe",
	"zsh":        "  troupe completion zsh > \"${fpath[1]}/_troupe\"",
	"fish":       "  troupe completion fish > ~/.config/fish/completions/troupe.fish",
	"powershell": "  troupe completion powershell | Out-String | Invoke-Expression",
}

// wrapArgs makes wrong arguments a usage error.
func wrapArgs(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				if c.HasSubCommands() {
					return unknownVerb(c, args[0])
				}
				return usagef("%w: see %s --help", err, c.CommandPath())
			}
			return nil
		}
	}
	for _, child := range c.Commands() {
		wrapArgs(child)
	}
}
