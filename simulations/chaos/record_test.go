package chaos

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

func TestARecordCarriesItsToken(t *testing.T) {
	chance := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{0, 100, 700, 1000, 8 << 10} {
		tk := tokenOf(7, 1<<40-1)
		r := newRecord(tk, size, chance)
		require.Equal(t, tk, tokenIn(r.Value))
		require.Equal(t, 7, tk.producer())
		require.Equal(t, uint64(1<<40-1), tk.number())
		if size >= 100 {
			require.InDelta(t, size, len(r.Value), 20)
		}
	}
	for _, v := range []string{"", "{}", `{"record":"`, `{"record":"00000000000000zz","`, `{"recorD":"0000000000000001","`} {
		require.Zero(t, tokenIn([]byte(v)), v)
	}
}

func TestTheHashSeesEveryPart(t *testing.T) {
	base := codec.Record{Timestamp: 5, Key: []byte("k"), Value: []byte("v"), Headers: []codec.Header{{Key: "a", Value: []byte("b")}}}
	same := base
	same.Offset = 9
	require.Equal(t, hashOf(&base), hashOf(&same))
	seen := map[uint64]string{hashOf(&base): "base"}
	for name, change := range map[string]func(*codec.Record){
		"timestamp":       func(r *codec.Record) { r.Timestamp++ },
		"key":             func(r *codec.Record) { r.Key = []byte("l") },
		"null key":        func(r *codec.Record) { r.Key = nil },
		"empty key":       func(r *codec.Record) { r.Key = []byte{} },
		"value":           func(r *codec.Record) { r.Value = []byte("w") },
		"moved":           func(r *codec.Record) { r.Key, r.Value = []byte("kv"), []byte{} },
		"header key":      func(r *codec.Record) { r.Headers = []codec.Header{{Key: "x", Value: []byte("b")}} },
		"header value":    func(r *codec.Record) { r.Headers = []codec.Header{{Key: "a", Value: []byte("x")}} },
		"no header":       func(r *codec.Record) { r.Headers = nil },
		"null in headers": func(r *codec.Record) { r.Headers = []codec.Header{{Key: "a"}} },
	} {
		r := base
		change(&r)
		h := hashOf(&r)
		require.Empty(t, seen[h], "%s is hashed like %s", name, seen[h])
		seen[h] = name
	}
}
