package chaos

import (
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"strconv"

	"github.com/troupe-mq/troupe/codec"
)

// A token names one record: its producer, and its number there from 1 on.
type token uint64

const numberBits = 40

func tokenOf(producer int, number uint64) token { return token(uint64(producer)<<numberBits | number) }

func (t token) producer() int { return int(t >> numberBits) }

func (t token) number() uint64 { return uint64(t) & (1<<numberBits - 1) }

// head is how a value begins; the digits of its token follow.
const head = `{"record":"`

var words = [...]string{"booked", "changed", "cancelled", "seat", "window", "aisle", "gate", "delayed", "boarding", "rebooked",
	"Frankfurt", "Lisbon", "Osaka", "Nairobi", "Zürich", "upgrade", "baggage", "refund", "meal", "crew"}

// newRecord makes the record of t, with a value of about size bytes: JSON, as
// of a system that publishes changes to bookings.
func newRecord(t token, size int, chance *rand.Rand) codec.Record {
	v := make([]byte, 0, size+64)
	v = fmt.Appendf(v, `%s%016x","flight":"LH %d","price":%d.%02d,"text":"`, head, uint64(t), chance.IntN(9999), chance.IntN(2000), chance.IntN(100))
	for {
		w := words[chance.IntN(len(words))]
		if len(v)+len(w)+3 > size {
			break
		}
		v = append(append(v, w...), ' ')
	}
	r := codec.Record{Timestamp: codec.Millis(1_700_000_000_000 + int64(t.number())), Value: append(v, `"}`...)}
	switch chance.IntN(3) {
	case 0:
		r.Key = fmt.Appendf(nil, "LH %d", chance.IntN(9999))
	case 1:
		r.Headers = []codec.Header{{Key: "source", Value: []byte("bookings")}, {Key: "empty"}}
	}
	return r
}

// tokenIn is the token in a value, 0 without one. No record has token 0.
func tokenIn(value []byte) token {
	if len(value) < len(head)+16 || string(value[:len(head)]) != head {
		return 0
	}
	t, err := strconv.ParseUint(string(value[len(head):len(head)+16]), 16, 64)
	if err != nil {
		return 0
	}
	return token(t)
}

var seed = maphash.MakeSeed()

// hashOf covers timestamp, key, value and headers of r; null and empty differ.
func hashOf(r *codec.Record) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	field := func(p []byte) {
		size := len(p)
		if p == nil {
			size = -1
		}
		maphash.WriteComparable(&h, size)
		_, _ = h.Write(p) // never fails
	}
	maphash.WriteComparable(&h, r.Timestamp)
	field(r.Key)
	field(r.Value)
	for _, x := range r.Headers {
		field([]byte(x.Key))
		field(x.Value)
	}
	return h.Sum64()
}
