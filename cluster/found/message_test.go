package found

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

var someRecord = &Record{Cluster: codec.UUID{9}, Founders: []Founder{{"n1", codec.UUID{1}, "a1"}}, Listed: []string{"a1"}}

func TestMessagesComeBack(t *testing.T) {
	for _, q := range []Question{{}, {Offer: someRecord}, {Join: &Join{"n4", codec.UUID{4}, "a4", "r1"}}} {
		got, err := DecodeQuestion(q.Encode())
		require.NoError(t, err)
		require.Equal(t, q, got)
	}
	for _, r := range []Reply{
		{Err: codec.Errorf(codec.Denied, "no")},
		{Status: &Status{Who: someRecord.Founders[0], State: Empty, Listed: []string{"a1"}}},
		{Status: &Status{Who: someRecord.Founders[0], State: Recorded, Record: someRecord}},
		{Status: &Status{Who: someRecord.Founders[0], State: Member, Cluster: codec.UUID{9}}},
		{Admitted: &Admitted{codec.UUID{9}, 4, map[codec.NodeID]string{"n1": "a1"}}},
	} {
		got, err := DecodeReply(r.Encode())
		require.NoError(t, err)
		require.Equal(t, r, got)
	}
}

func FuzzDecodeQuestion(f *testing.F) {
	f.Add(Question{Offer: someRecord}.Encode())
	f.Add(Question{Join: &Join{"n4", codec.UUID{4}, "a4", "r1"}}.Encode())
	f.Fuzz(func(t *testing.T, p []byte) {
		if q, err := DecodeQuestion(p); err == nil {
			_, err := DecodeQuestion(q.Encode())
			require.NoError(t, err)
		}
	})
}

func FuzzDecodeReply(f *testing.F) {
	f.Add(Reply{Status: &Status{Who: someRecord.Founders[0], State: Recorded, Record: someRecord}}.Encode())
	f.Add(Reply{Admitted: &Admitted{codec.UUID{9}, 4, map[codec.NodeID]string{"n1": "a1"}}}.Encode())
	f.Fuzz(func(t *testing.T, p []byte) {
		if r, err := DecodeReply(p); err == nil {
			_, err := DecodeReply(r.Encode())
			require.NoError(t, err)
		}
	})
}
