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

// forwarding are letters of every kind that takes requests elsewhere.
func forwarding(t testing.TB) map[string][]byte {
	return map[string][]byte{
		"leads":   (&Leads{Cluster: someCluster, Asks: true, List: []Lead{{7, 8}, {9, 1 << 40}}}).Encode(),
		"parcel":  slices.Concat((&Parcel{Cluster: someCluster, Number: 1 << 50, Group: 7, Row: 3, Place: 4, Batch: someBatch(t, "x")}).Encode()...),
		"receipt": (&Receipt{Cluster: someCluster, Number: 2, Produced: Produced{10, 11}, Row: 12, Place: 14, Outcome: Outcome{NotLeader, 13, "n2", "ask n2"}}).Encode(),
		"look":    (&Look{Cluster: someCluster, Number: 3, Group: 7, Kind: LookTime, At: -5, Bytes: 6, Within: 7}).Encode(),
		"beats":   (&Beats{Cluster: someCluster, Disk: UUID{1: 5}, List: []Beat{{Group: 7, From: 1, To: 2, Term: 3, Commit: 1 << 40}, {Answer: true, Group: 8, From: 5, To: 4, Term: 6}}}).Encode(),
		"sight":   (&Sight{Cluster: someCluster, Number: 3, Start: 1, HighWatermark: 2, Offset: 3, BytesMax: 4, Found: true, Outcome: Outcome{Message: "m"}, Batches: someBatch(t, "y")}).Encode(),
	}
}

// again parses a letter and makes it anew.
var again = map[string]func([]byte) ([]byte, error){
	"leads": func(p []byte) ([]byte, error) {
		l, err := ParseLeads(p)
		if err != nil {
			return nil, err
		}
		return l.Encode(), nil
	},
	"beats": func(p []byte) ([]byte, error) {
		l, err := ParseBeats(p)
		if err != nil {
			return nil, err
		}
		return l.Encode(), nil
	},
	"parcel": func(p []byte) ([]byte, error) {
		l, err := ParseParcel(p)
		if err != nil {
			return nil, err
		}
		return slices.Concat(l.Encode()...), nil
	},
	"receipt": func(p []byte) ([]byte, error) {
		l, err := ParseReceipt(p)
		if err != nil {
			return nil, err
		}
		return l.Encode(), nil
	},
	"look": func(p []byte) ([]byte, error) {
		l, err := ParseLook(p)
		if err != nil {
			return nil, err
		}
		return l.Encode(), nil
	},
	"sight": func(p []byte) ([]byte, error) {
		l, err := ParseSight(p)
		if err != nil {
			return nil, err
		}
		return l.Encode(), nil
	},
}

func TestForwardingLettersComeBack(t *testing.T) {
	for name, p := range forwarding(t) {
		got, err := again[name](p)
		require.NoError(t, err, name)
		require.Equal(t, p, got, name)
		limit := len(p)
		if name == "parcel" {
			limit = parcelHeadBytes // the batch is verified by who receives it
		}
		for i := range limit {
			q := slices.Clone(p)
			q[i] ^= 0x10
			_, err := again[name](q)
			require.Error(t, err, "%s, byte %d", name, i)
		}
		for n := range limit {
			_, err := again[name](p[:n])
			require.Error(t, err, "%s of %d bytes", name, n)
		}
	}
}

// A letter that says what it cannot is refused, or read and said again as it came.
func FuzzForwarding(f *testing.F) {
	for _, p := range forwarding(f) {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		for name, parse := range again {
			got, err := parse(p)
			if err == nil {
				require.Equal(t, p, got, name)
			}
		}
	})
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
