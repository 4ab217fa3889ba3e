package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/simulations/world"
)

func newSimReplay(s streams) *cobra.Command {
	var seed uint64
	var all bool
	c := &cobra.Command{
		Use: "replay SCENARIO | FILE", Short: "Play one run and print what happens, a column a node", Args: cobra.ExactArgs(1),
		Example: "  troupe sim replay s01-leader-killed --seed 7 | less -S",
		RunE: func(_ *cobra.Command, args []string) error {
			one, err := scenarioOf(args[0])
			if err != nil {
				return err
			}
			var nodes []codec.NodeID
			for i := range one.Nodes {
				nodes = append(nodes, codec.NodeID(fmt.Sprintf("n%d", i+1)))
			}
			columns := world.NewColumns(s.out, nodes, all)
			o, err := world.Play(one, seed, columns)
			err = errors.Join(err, columns.Close())
			for _, v := range o.Violations {
				err = errors.Join(err, errors.New(v.String()))
			}
			return err
		},
	}
	c.Flags().Uint64Var(&seed, "seed", 1, "the seed")
	c.Flags().BoolVar(&all, "everything", false, "also what happens all the time: ticks, flushes, the disk's calls")
	return c
}
