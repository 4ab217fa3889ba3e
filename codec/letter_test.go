package codec

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

var someCluster = UUID{1, 2, 3, 15: 16}

func someBatch(t testing.TB, values ...string) Batch {
	var w Builder
	for _, v := range values {
		w.Append(7, nil, []byte(v), nil)
	}
	b, err := w.Build(NoCompression)
	require.NoError(t, err)
	return b
}

func TestLettersComeBack(t *testing.T) {
	raft := &RaftLetter{Cluster: someCluster, Disk: UUID{1: 5}, Group: 7, From: 8, To: 9, Raft: []byte("a message"), Payloads: []Batch{someBatch(t, "x"), someBatch(t, "y", "z")}}
	p := slices.Concat(raft.Encode()...)
	kind, cluster, err := KindOfLetter(p)
	require.NoError(t, err)
	require.Equal(t, LetterRaft, kind)
	require.Equal(t, someCluster, cluster)
	got, err := ParseRaftLetter(p)
	require.NoError(t, err)
	require.Equal(t, raft, got)

	ask := &Ask{Cluster: someCluster, Number: 1 << 40, Command: []byte("do")}
	asked, err := ParseAsk(ask.Encode())
	require.NoError(t, err)
	require.Equal(t, ask, asked)

	for _, a := range []*AskAnswer{
		{Cluster: someCluster, Number: 3, Revision: 4, FirstProducerID: 5},
		{Cluster: someCluster, Number: 3, Err: &Error{Code: NotLeader, Message: "ask n2"}},
	} {
		answered, err := ParseAskAnswer(a.Encode())
		require.NoError(t, err)
		require.Equal(t, a, answered)
	}
}

// Whatever byte of a letter is another one, its reader sees it, short of the
// batches, whose own checksum their descriptors are held against.
func TestADamagedLetterIsRefused(t *testing.T) {
	raft := &RaftLetter{Cluster: someCluster, Disk: UUID{1: 5}, Group: 7, From: 8, To: 9, Raft: []byte("a message"), Payloads: []Batch{someBatch(t, "x")}}
	head := raft.Encode()[0]
	for name, c := range map[string]struct {
		p     []byte
		parse func([]byte) error
	}{
		"raft":   {slices.Concat(raft.Encode()...), func(p []byte) error { _, err := ParseRaftLetter(p); return err }},
		"ask":    {(&Ask{Number: 1, Command: []byte("do")}).Encode(), func(p []byte) error { _, err := ParseAsk(p); return err }},
		"answer": {(&AskAnswer{Number: 1}).Encode(), func(p []byte) error { _, err := ParseAskAnswer(p); return err }},
	} {
		require.NoError(t, c.parse(c.p), name)
		limit := len(c.p)
		if name == "raft" {
			limit = len(head)
		}
		for i := range limit {
			q := slices.Clone(c.p)
			q[i] ^= 0x10
			require.Error(t, c.parse(q), "%s, byte %d", name, i)
		}
		for n := range c.p {
			require.Error(t, c.parse(c.p[:n]), "%s of %d bytes", name, n)
		}
		require.Error(t, c.parse(append(slices.Clone(c.p), 0)), name)
	}
}

func FuzzLetter(f *testing.F) {
	f.Add(slices.Concat((&RaftLetter{Raft: []byte("m"), Payloads: []Batch{someBatch(f, "x")}}).Encode()...))
	f.Add((&Ask{Command: []byte("do")}).Encode())
	f.Add((&AskAnswer{Err: E(NotLeader)}).Encode())
	f.Fuzz(func(t *testing.T, p []byte) {
		if l, err := ParseRaftLetter(p); err == nil {
			require.Equal(t, p, slices.Concat(l.Encode()...))
		}
		if a, err := ParseAsk(p); err == nil {
			require.Equal(t, p, a.Encode())
		}
		if a, err := ParseAskAnswer(p); err == nil {
			require.Equal(t, p, a.Encode())
		}
	})
}
