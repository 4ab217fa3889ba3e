package check

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

func TestNames(t *testing.T) {
	made := func(call, ret int64) Claim { return Claim{Name: "x", Make: true, Call: call, Return: ret} }
	unmake := func(call, ret int64) Claim { return Claim{Name: "x", Call: call, Return: ret} }
	was := func(c Claim) Claim { c.Was = true; return c }
	unknown := func(c Claim) Claim { c.Outcome = Unknown; return c }
	failed := func(c Claim) Claim { c.Outcome = Failed; return c }
	for name, c := range map[string]struct {
		claims []Claim
		fine   bool
	}{
		"nothing":                       {nil, true},
		"made, was there, unmade":       {[]Claim{made(1, 2), was(made(3, 4)), unmake(5, 6), was(unmake(7, 8))}, true},
		"made twice":                    {[]Claim{made(1, 2), made(3, 4)}, false},
		"of two at once one made it":    {[]Claim{made(1, 9), was(made(2, 8))}, true},
		"of two at once both made it":   {[]Claim{made(1, 9), made(2, 8)}, false},
		"was there before it was made":  {[]Claim{was(made(1, 2)), made(3, 4)}, false},
		"unmade before it was there":    {[]Claim{unmake(1, 2)}, false},
		"an unknown one explains it":    {[]Claim{unknown(made(1, 0)), was(made(3, 4))}, true},
		"an unknown one comes later":    {[]Claim{unknown(unmake(1, 0)), made(2, 3), was(made(4, 5)), made(6, 7)}, true},
		"an unknown one cannot come so": {[]Claim{was(made(1, 2)), unknown(made(3, 0))}, false},
		"a failed one explains nothing": {[]Claim{failed(made(1, 2)), was(made(3, 4))}, false},
	} {
		v := Names(c.claims, time.Second)
		require.Empty(t, v.Undecided, name)
		require.Equal(t, c.fine, len(v.Illegal) == 0, name)
	}
}

// Of histories of one log, good ones and ones with two answers exchanged, the
// sweep and the search think the same.
func TestTheSweepAndTheSearchAgree(t *testing.T) {
	good, bad := 0, 0
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 3))
		var h History
		for o := range 40 {
			at := int64(100 * o)
			h.Produces = append(h.Produces, Produce{Log: orders, Token: uint64(o + 1), Value: value(uint64(o + 1)), Offset: 0,
				Call: at - int64(r.IntN(300)), Return: at + int64(r.IntN(300))})
			h.Produces[o].Offset = codec.Offset(o)
		}
		if r.IntN(2) == 0 {
			i := r.IntN(39)
			j := min(39, i+1+r.IntN(4))
			h.Produces[i].Offset, h.Produces[j].Offset = h.Produces[j].Offset, h.Produces[i].Offset
		}
		sweep := Check(h)
		search := Appends(h, 200, 10*time.Second)
		require.Empty(t, search.Undecided)
		require.Equal(t, len(sweep) == 0, len(search.Illegal) == 0, "seed %d: %v, %v", seed, sweep, search)
		if len(sweep) == 0 {
			good++
		} else {
			bad++
		}
	}
	require.Greater(t, good, 50)
	require.Greater(t, bad, 50)
}
