package codec

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
)

// five are records with all that the format can say.
var five = []Record{
	{Offset: 0, Timestamp: 1000, Key: []byte("k"), Value: []byte("v")},
	{Offset: 1, Timestamp: 990, Key: nil, Value: []byte{}},
	{Offset: 2, Timestamp: 5000, Key: []byte{}, Value: nil},
	{Offset: 3, Timestamp: 1001, Value: []byte("x"), Headers: []Header{{"a", []byte("1")}, {"b", nil}}},
	{Offset: 4, Timestamp: 1002, Value: []byte("y"), Headers: []Header{{"a", []byte("2")}, {"", []byte{}}}},
}

// build makes a batch of records.
func build(t testing.TB, c Compression, records ...Record) Batch {
	t.Helper()
	var b Builder
	for _, r := range records {
		b.Append(r.Timestamp, r.Key, r.Value, r.Headers)
	}
	batch, err := b.Build(c)
	require.NoError(t, err)
	return batch
}

// walk copies the records out of a batch.
func walk(b Batch, section []byte) ([]Record, error) {
	var out []Record
	rs := b.Records(section)
	for rs.Next() {
		r := *rs.Record()
		r.Headers = append([]Header(nil), r.Headers...)
		out = append(out, r)
	}
	return out, rs.Err()
}

// section is a records section of raw bodies, each behind its length.
func section(bodies ...[]byte) []byte {
	var p []byte
	for _, b := range bodies {
		p = append(binary.AppendVarint(p, int64(len(b))), b...)
	}
	return p
}

// head is a batch header alone, for count records.
func head(count int32) Batch {
	var b Builder
	b.Append(0, nil, nil, nil)
	batch, _ := b.Build(NoCompression)
	binary.BigEndian.PutUint32(batch[23:], uint32(count-1))
	binary.BigEndian.PutUint32(batch[57:], uint32(count))
	return batch[:BatchHeaderBytes]
}

func TestRecordsComeBackAsTheyWentIn(t *testing.T) {
	b := build(t, NoCompression, five...)
	got, err := walk(b, b[BatchHeaderBytes:])
	require.NoError(t, err)
	require.Equal(t, five, got)

	b.Stamp(100, 7)
	got, err = walk(b, b[BatchHeaderBytes:])
	require.NoError(t, err)
	require.Equal(t, Offset(104), got[4].Offset)
}

func TestLogAppendTimeStandsForEveryRecord(t *testing.T) {
	b := build(t, NoCompression, five...)
	b[22] |= attrLogAppendTime
	got, err := walk(b, b[BatchHeaderBytes:])
	require.NoError(t, err)
	for _, r := range got {
		require.Equal(t, Millis(5000), r.Timestamp)
	}
}

func TestRecordsRefuseWhatIsDamaged(t *testing.T) {
	for name, law := range map[string]struct {
		count   int32
		section []byte
		says    string
	}{
		"nothing there":            {1, nil, "record 0 of 1: length 0 with 0 bytes left"},
		"length beyond the end":    {1, []byte{0x7e, 0, 0, 0}, "length 63 with 3 bytes left"},
		"negative length":          {1, []byte{1, 0, 0, 0, 0, 0, 0}, "length -1"},
		"length without end":       {1, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, "length"},
		"too short":                {1, section([]byte{0, 0, 0, 1, 1}), "length 5"},
		"offset delta not 0":       {1, section([]byte{0, 0, 2, 1, 1, 0}), "record 0 of 1: offset delta 1"},
		"offset delta twice":       {2, section([]byte{0, 0, 0, 1, 1, 0}, []byte{0, 0, 0, 1, 1, 0}), "record 1 of 2: offset delta 0"},
		"timestamp delta cut off":  {1, section([]byte{0, 0xff, 0xff, 0xff, 0xff, 0xff}), "timestamp delta"},
		"key past the record":      {1, section([]byte{0, 0, 0, 20, 1, 0}), "key"},
		"key length -2":            {1, section([]byte{0, 0, 0, 3, 1, 0}), "key"},
		"value past the record":    {1, section([]byte{0, 0, 0, 1, 20, 0}), "value"},
		"header count lies":        {1, section([]byte{0, 0, 0, 1, 1, 0x7e}), "header count 63 with 0 bytes left"},
		"header count negative":    {1, section([]byte{0, 0, 0, 1, 1, 1}), "header count -1"},
		"header key null":          {1, section([]byte{0, 0, 0, 1, 1, 2, 1, 1}), "header key"},
		"header value past":        {1, section([]byte{0, 0, 0, 1, 1, 2, 0, 8}), "header value"},
		"bytes behind the headers": {1, section([]byte{0, 0, 0, 1, 1, 0, 9}), "1 bytes follow its headers"},
		"bytes behind the records": {1, append(section([]byte{0, 0, 0, 1, 1, 0}), 1, 2), "2 bytes follow the last of 1 records"},
	} {
		_, err := walk(head(law.count), law.section)
		require.ErrorIs(t, err, E(CorruptBatch), name)
		require.ErrorContains(t, err, law.says, name)
	}
}

func TestTimestampsDoNotOverflow(t *testing.T) {
	b := head(1)
	binary.BigEndian.PutUint64(b[27:], 1<<63-1)
	_, err := walk(b, section([]byte{0, 2, 0, 1, 1, 0}))
	require.ErrorContains(t, err, "timestamp delta 1 overflows")
}

func TestRecordsAllocateNothingPerRecord(t *testing.T) {
	var b Builder
	for range 1000 {
		b.Append(1, []byte("key"), []byte("value"), []Header{{"trace", []byte("1")}, {"kind", []byte("2")}})
	}
	batch, err := b.Build(NoCompression)
	require.NoError(t, err)
	allocs := testing.AllocsPerRun(10, func() {
		rs := batch.Records(batch[BatchHeaderBytes:])
		for rs.Next() {
		}
	})
	require.LessOrEqual(t, allocs, 5.0)
}

func FuzzRecords(f *testing.F) {
	f.Add(int32(1), section([]byte{0, 0, 0, 1, 1, 0}))
	f.Add(int32(1<<31-1), []byte{})
	f.Add(int32(2), section([]byte{0, 0, 0, 1, 1, 2, 0, 8}, []byte{0, 0xff, 0xff, 0xff, 0xff, 0xff}))
	f.Add(int32(1), []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	b := build(f, NoCompression, five...)
	f.Add(int32(5), []byte(b[BatchHeaderBytes:]))
	f.Fuzz(func(t *testing.T, count int32, p []byte) {
		if count < 1 {
			return
		}
		rs := head(count).Records(p)
		n := 0
		for rs.Next() {
			n++
		}
		if rs.Err() == nil && n != int(count) {
			t.Fatalf("walked %d of %d", n, count)
		}
	})
}
