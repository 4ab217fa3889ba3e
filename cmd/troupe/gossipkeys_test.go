package main

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestKeysOfTheGossip(t *testing.T) {
	for _, c := range []struct {
		mine, theirs prints
		want         string
	}{
		{nil, nil, ""}, {nil, prints{"a"}, ""}, {prints{"a"}, nil, ""}, {prints{}, prints{}, ""},
		{prints{"a"}, prints{"a"}, ""},
		{prints{"old", "new"}, prints{"old"}, ""}, // a change of keys, step by step
		{prints{"new", "old"}, prints{"old", "new"}, ""},
		{prints{"new"}, prints{"new", "old"}, ""},
		{prints{"new", "old"}, prints{"old"}, "has other keys of the gossip"}, // it cannot read what is sent with the new one
		{prints{"a", "b"}, prints{"b", "c"}, "has other keys of the gossip"},
		{prints{"a"}, prints{"b"}, "has other keys of the gossip: give this one the file of the others with --gossip-key"},
		{prints{}, prints{"b"}, "encrypts its gossip, and this one has no key"},
		{prints{"a"}, prints{}, "does not encrypt its gossip, and this one does"},
	} {
		got := c.mine.other(c.theirs)
		require.Equal(t, c.want == "", got == "", "%v %v", c.mine, c.theirs)
		require.Contains(t, got, c.want)
	}
}

// Who is to join must be told of one cluster, whose gossip it understands.
func TestWhoJoinsIsToldOfOneCluster(t *testing.T) {
	of := func(cluster string, keys prints) heard {
		return heard{standing: &standing{Stage: stageMember, Cluster: cluster, Keys: keys}}
	}
	empty, gone := heard{standing: &standing{Stage: stageEmpty, Cluster: "c9"}}, heard{err: errors.New("nobody listens there")}
	require.NoError(t, notOneCluster(prints{}, map[string]heard{"a:1": of("c1", prints{}), "b:1": of("c1", prints{}), "c:1": gone, "d:1": empty}))
	require.ErrorContains(t, notOneCluster(nil, map[string]heard{"a:1": of("c1", nil), "b:1": of("c2", nil)}), "belong to two, c1 at a:1 and c2 at b:1: list those of one")
	require.ErrorContains(t, notOneCluster(prints{"x"}, map[string]heard{"a:1": of("c1", prints{"y"})}), "the broker at a:1 has other keys of the gossip")
}
