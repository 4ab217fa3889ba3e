package codec

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"
)

func someGreeting() *Greeting {
	return &Greeting{
		VersionMin: 1, VersionMax: 1, Purpose: PurposeControl, Role: RoleBroker, Cluster: someCluster,
		Node: "n1", Disk: UUID{15: 7}, Life: 1 << 60, Address: "10.0.0.1:9651", To: "n2",
	}
}

// The bytes of greetings are the protocol: they never change.
func TestGreetingsAreTheseBytes(t *testing.T) {
	const greeting = "89a570726f746f920101a7707572706f7365a7636f6e74726f6ca4726f6c65a662726f6b6572a7636c7573746572d92430313032303330302d303030302d303030302d303030302d303030303030303030303130" +
		"a46e6f6465a26e31a46469736bd92430303030303030302d303030302d303030302d303030302d303030303030303030303037a46c696665cf1000000000000000a761646472657373ad31302e302e302e313a39363531a2746fa26e32"
	for want, f := range map[string]Frame{
		"000000b39200" + greeting:                                    EncodeGreeting(someGreeting()),
		"000000b39201" + greeting:                                    EncodeAccepted(someGreeting()),
		"00000019920282a4636f6465cd02bca36d7367a9737472616e67657273": EncodeRefused(&Error{Code: OtherCluster, Message: "strangers"}),
	} {
		require.Equal(t, want, hex.EncodeToString(f.Bytes()))
	}
}

func TestGreetingsComeBack(t *testing.T) {
	g := someGreeting()
	got, err := ParseGreeting(EncodeGreeting(g).Bytes()[FrameHeadBytes:])
	require.NoError(t, err)
	require.Equal(t, g, got)
	got, err = ParseGreeted(EncodeAccepted(g).Bytes()[FrameHeadBytes:])
	require.NoError(t, err)
	require.Equal(t, g, got)
	_, err = ParseGreeted(EncodeRefused(Errorf(Clone, "another is here")).Bytes()[FrameHeadBytes:])
	require.Equal(t, Errorf(Clone, "another is here"), err)

	_, err = ParseGreeting(EncodeAccepted(g).Bytes()[FrameHeadBytes:])
	require.ErrorIs(t, err, E(Malformed))
	_, err = ParseGreeted(EncodeGreeting(g).Bytes()[FrameHeadBytes:])
	require.ErrorIs(t, err, E(Malformed))
}

// What a later version adds is stepped over.
func TestGreetingsGrow(t *testing.T) {
	p, err := msgpack.Marshal([]any{0, map[string]any{"proto": []int{1, 3, 9}, "node": "n1", "colour": []string{"red"}}, "more"})
	require.NoError(t, err)
	g, err := ParseGreeting(p)
	require.NoError(t, err)
	require.Equal(t, &Greeting{VersionMin: 1, VersionMax: 3, Node: "n1"}, g)
}

func TestBadGreetingsAreRefused(t *testing.T) {
	for name, v := range map[string]any{
		"no node":         []any{0, map[string]any{"proto": []int{1, 1}}},
		"no array":        map[string]any{"node": "n1"},
		"no body":         []any{0},
		"a short range":   []any{0, map[string]any{"proto": []int{1}, "node": "n1"}},
		"a negative life": []any{0, map[string]any{"life": -1, "node": "n1"}},
		"no uuid":         []any{0, map[string]any{"disk": "n1", "node": "n1"}},
		"a long name":     []any{0, map[string]any{"node": strings.Repeat("n", 300)}},
		"too many values": []any{0, map[string]any{"node": "n1", "x": make([]int, 300)}},
		"too large":       []any{0, map[string]any{"node": "n1", "x": make([]byte, GreetingFrameMax)}},
		"no code":         []any{2, map[string]any{"msg": "no"}},
	} {
		p, err := msgpack.Marshal(v)
		require.NoError(t, err)
		_, err = ParseGreeting(p)
		require.Error(t, err, name)
		_, err = ParseGreeted(p)
		require.Error(t, err, name)
	}
}

func FuzzGreeting(f *testing.F) {
	f.Add(EncodeGreeting(someGreeting()).Bytes()[FrameHeadBytes:])
	f.Add(EncodeAccepted(someGreeting()).Bytes()[FrameHeadBytes:])
	f.Add(EncodeRefused(E(Clone)).Bytes()[FrameHeadBytes:])
	f.Fuzz(func(t *testing.T, p []byte) {
		if g, err := ParseGreeting(p); err == nil {
			again, err := ParseGreeting(EncodeGreeting(g).Bytes()[FrameHeadBytes:])
			require.NoError(t, err)
			require.Equal(t, g, again)
		} else {
			require.NotEqual(t, Internal, CodeOf(err))
		}
		if g, err := ParseGreeted(p); err == nil {
			again, err := ParseGreeted(EncodeAccepted(g).Bytes()[FrameHeadBytes:])
			require.NoError(t, err)
			require.Equal(t, g, again)
		} else {
			require.NotEqual(t, Internal, CodeOf(err))
		}
	})
}
