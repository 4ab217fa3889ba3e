package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/cluster/member"
)

// What keygen writes is what --gossip-key reads.
func TestKeygen(t *testing.T) {
	one := command("", "keygen")
	require.NoError(t, one.failed)
	require.NotEqual(t, one.out, command("", "keygen").out)
	name := filepath.Join(t.TempDir(), "gossip.key")
	require.NoError(t, os.WriteFile(name, []byte(one.out), 0o600))
	_, err := member.ReadKeyring(name)
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(one.out, "\n"))
}
