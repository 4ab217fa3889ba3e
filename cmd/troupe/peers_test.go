package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/cluster"
	"github.com/troupe-mq/troupe/codec"
)

// TestWherePeersAre is the table of what goes before what.
func TestWherePeersAre(t *testing.T) {
	type addresses = map[codec.NodeID]string
	early := addresses{"n1": "early1", "n2": "early2", "n9": "early9"}
	s := &cluster.State{Cluster: codec.UUID{1}, Nodes: map[codec.NodeID]cluster.Node{
		"n1": {Link: "self"}, "n2": {Link: "meta2", Epoch: 3}, "n3": {Link: "meta3"}, "n4": {Epoch: 1},
	}}
	for what, c := range map[string]struct {
		own      map[codec.NodeID]word
		state    *cluster.State
		upToDate bool
		want     addresses
	}{
		"what is told first":                    {nil, nil, false, addresses{"n2": "early2", "n9": "early9"}},
		"old metadata only add":                 {nil, s, false, addresses{"n2": "early2", "n3": "meta3", "n9": "early9"}},
		"metadata say where, and who belongs":   {nil, s, true, addresses{"n2": "meta2", "n3": "meta3"}},
		"a word goes before what is told first": {map[codec.NodeID]word{"n2": {address: "own2", epoch: 0}}, s, false, addresses{"n2": "own2", "n3": "meta3", "n9": "early9"}},
		"and before metadata of before":         {map[codec.NodeID]word{"n2": {address: "own2", epoch: 3}}, s, true, addresses{"n2": "own2", "n3": "meta3"}},
		"until it has registered again":         {map[codec.NodeID]word{"n2": {address: "own2", epoch: 2}}, s, true, addresses{"n2": "meta2", "n3": "meta3"}},
		"a word about who told the metadata no": {map[codec.NodeID]word{"n4": {address: "own4", epoch: 0}}, s, true, addresses{"n2": "meta2", "n3": "meta3", "n4": "own4"}},
		"a word of another's disk":              {map[codec.NodeID]word{"n2": {address: "own2", epoch: 3, disk: codec.UUID{7}}}, s, true, addresses{"n2": "meta2", "n3": "meta3"}},
		"hearsay is for the beginning":          {map[codec.NodeID]word{"n2": {address: "own2", epoch: 3, hearsay: true}}, s, true, addresses{"n2": "meta2", "n3": "meta3"}},
		"hearsay, before metadata are complete": {map[codec.NodeID]word{"n2": {address: "own2", epoch: 3, hearsay: true}}, s, false, addresses{"n2": "own2", "n3": "meta3", "n9": "early9"}},
		"a stranger's word":                     {map[codec.NodeID]word{"n8": {address: "own8", epoch: 0}}, s, true, addresses{"n2": "meta2", "n3": "meta3"}},
	} {
		require.Equal(t, c.want, merge("n1", early, c.own, c.state, c.upToDate), what)
	}
}
