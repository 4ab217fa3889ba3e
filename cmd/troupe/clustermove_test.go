package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

func TestMoved(t *testing.T) {
	tp := codec.TopicPartition{Topic: "t"}
	now := []codec.NodeID{"n1", "n2", "n3"}
	for _, c := range []struct {
		from, to string
		want     []codec.NodeID
		says     string
	}{
		{"n1", "n4", []codec.NodeID{"n4", "n2", "n3"}, ""},
		{"", "n4", []codec.NodeID{"n1", "n2", "n3", "n4"}, ""},
		{"n2", "", []codec.NodeID{"n1", "n3"}, ""},
		{"n5", "n4", nil, `t/0 has no replica on "n5"`},
		{"n1", "n2", nil, `t/0 has a replica on "n2" already`},
	} {
		got, err := clusterMove{c.from, c.to}.moved(tp, now)
		if c.says != "" {
			require.ErrorContains(t, err, c.says)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, c.want, got)
	}
	require.Equal(t, []codec.NodeID{"n1", "n2", "n3"}, now)
	for _, bad := range []string{"t", "t/", "/1", "t/x", "t/-1"} {
		_, err := parsePartition(bad)
		require.ErrorContains(t, err, "want TOPIC/PARTITION", bad)
	}
	got, err := parsePartition("a/b/3")
	require.NoError(t, err)
	require.Equal(t, codec.TopicPartition{Topic: "a/b", Partition: 3}, got)
}

// A replica that a broker alone has cannot go anywhere, and that is said.
func TestClusterMove(t *testing.T) {
	s := stageOn(t, t.TempDir())
	s.do("", "topic", "create", "t")
	require.ErrorContains(t, s.try("", "cluster", "move", "t/0", "--from", "n1", "--to", "n9").failed, `no node "n9" in this cluster`)
	require.ErrorContains(t, s.try("", "cluster", "move", "t/7", "--from", "n1", "--to", "n9").failed, "UNKNOWN_PARTITION")
	require.ErrorContains(t, s.try("", "cluster", "move", "t/0").failed, "--from and --to are missing")
}
