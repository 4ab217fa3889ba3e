package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the build: -ldflags "-X main.version=v1.2.3".
var version = "dev"

// build says what this binary was made of.
type build struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
	Go      string `json:"go"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
}

func thisBuild() build {
	b := build{Version: version, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				b.Commit = s.Value
			}
		}
	}
	return b
}

func newVersion(s streams) *cobra.Command {
	var output string
	c := &cobra.Command{
		Use: "version", Short: "Say which troupe this is", Example: "  troupe version -o json", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			b := thisBuild()
			if output == "json" {
				return json.NewEncoder(s.out).Encode(b)
			}
			_, err := fmt.Fprintf(s.out, "troupe %s (%s, %s/%s) %s\n", b.Version, b.Go, b.OS, b.Arch, b.Commit)
			return err
		},
	}
	outputFlag(c, &output)
	return c
}

// outputFlag adds -o, which every command with a result has.
func outputFlag(c *cobra.Command, output *string) {
	c.Flags().StringVarP(output, "output", "o", "text", "text or json")
	complete(c, "output", words("text", "json"))
	before := c.PreRunE
	c.PreRunE = func(c *cobra.Command, args []string) error {
		if *output != "text" && *output != "json" {
			return usagef("-o %q: want text or json", *output)
		}
		if before != nil {
			return before(c, args)
		}
		return nil
	}
}
