//go:build !mutants

package main

import "github.com/spf13/cobra"

// newSimMutants is nothing in a binary without deliberate bugs.
func newSimMutants(streams) *cobra.Command { return nil }
