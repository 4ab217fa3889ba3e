package wal

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
)

// arrival is the hard state of a log that goes on behind entry before.
func arrival(term codec.Term, before codec.Index, next codec.Offset) Hard {
	return Hard{Term: term, Before: before, BeforeTerm: term, Start: next + 2, Next: next, AppendTime: 77, Conf: []byte("theirs"), ConfAsOf: before + 5}
}

func (b *bench) install(h Hard, data string) {
	b.t.Helper()
	x, err := b.Log.Install(h, Snapshot{Index: h.Before, Term: h.BeforeTerm, Data: []byte(data)})
	require.NoError(b.t, err)
	b.Index, b.term = x, h.Term
}

func TestAnInstalledSnapshotReplacesTheLog(t *testing.T) {
	for _, c := range []struct {
		name   string
		before codec.Index
	}{{"below the end", 8}, {"at the end", 41}, {"far above", 1000}} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, Options{SegmentBytes: 2000, WALFileBytes: 1000, CacheBytes: 100})
			b.put(20, 4, 100)
			b.Index.Commit(6)
			require.NoError(t, b.Log.Rest(6))
			_, err := b.Log.WriteSnapshot(Snapshot{Index: 5, Term: 2, Data: []byte("ours")})
			require.NoError(t, err)
			b.put(20, 4, 100)
			old, view := b.Index, b.Index.View()

			b.install(arrival(9, c.before, 500), "theirs")
			_, err = view.Read(nil, 0, 100)
			require.ErrorIs(t, err, ErrGone)
			_, err = old.ReadEntries(2, 5, 1000)
			require.ErrorIs(t, err, ErrGone)
			for range 2 {
				before, term := b.Index.Before()
				require.Equal(t, c.before, before)
				require.Equal(t, codec.Term(9), term)
				require.Equal(t, c.before, b.Index.Last())
				require.Equal(t, codec.Offset(500), b.Index.Next())
				require.Equal(t, codec.Millis(77), b.Index.AppendTime())
				b.Index.SetStart(501)
				require.Equal(t, codec.Offset(502), b.Index.Start(), "the start is ahead of the log, and does not go back")
				b.reopen()
				require.Equal(t, Hard{
					Group: 7, Replica: 3, Log: 1, Term: 9, Commit: c.before, Durable: c.before, Before: c.before, BeforeTerm: 9,
					Start: 502, Next: 500, AppendTime: 77, Conf: []byte("theirs"), ConfAsOf: c.before + 5,
				}, b.Hard)
				require.Equal(t, "theirs", string(b.Snapshot.Data))
			}
			b.put(30, 2, 100)
			b.commit()
			b.Index.SetStart(0)
			require.Equal(t, codec.Offset(502), b.Index.Start())
			require.Equal(t, 58, b.records(b.Index.View(), 502, 100))
			b.reopen()
			require.Equal(t, c.before+30, b.Index.Last())
			require.NoError(t, b.Log.Rest(b.Index.Last()))
			require.NoError(t, b.Log.Close())
			r, err := Inspect(OS{}, b.dir, nil)
			require.NoError(t, err)
			require.Equal(t, 30, r.Entries)
			require.Equal(t, c.before, r.Snapshot)
			dirs, err := Dirs(OS{}, filepath.Dir(b.dir))
			require.NoError(t, err)
			require.Equal(t, []string{b.dir}, dirs)
			require.Equal(t, []string{"hard", "seg.1", "snap.1", "wal.1"}, names(t, b.dir))
		})
	}
}

func names(t *testing.T, dir string) (out []string) {
	list, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range list {
		out = append(out, e.Name())
	}
	return out
}

func TestSnapshotsAreInstalledOneAfterTheOther(t *testing.T) {
	b := newBench(t, Options{})
	for i := range codec.Index(12) {
		b.install(arrival(codec.Term(9+i), 100+10*i, codec.Offset(i)), "theirs")
		b.put(1, 3, 50)
		if i%3 == 0 {
			b.reopen()
		}
	}
	require.Equal(t, []string{"hard", "seg.12", "snap.12", "wal.12"}, names(t, b.dir))
	require.NoError(t, b.Log.Close())
	require.NoError(t, Delete(OS{}, b.dir))
	require.Empty(t, names(t, filepath.Dir(b.dir)))
}

// The configuration of a snapshot is newer than the snapshot: the log has not
// reached the entry that it is of.
func TestAConfigurationAheadOfTheLog(t *testing.T) {
	b := newBench(t, Options{})
	b.install(arrival(9, 100, 0), "theirs")
	b.put(3, 1, 20)
	require.NoError(t, b.Log.Rest(103))
	b.reopen()
	require.Equal(t, codec.Index(103), b.Hard.Commit)
	require.Equal(t, codec.Index(105), b.Hard.ConfAsOf)
	require.Error(t, Guard(func() error { return b.Log.SetConf([]byte("older"), 103) }), "it never goes back")
	b.put(6, 1, 20)
	require.NoError(t, b.Log.SetConf([]byte("next"), 107))
	b.reopen()
	require.Equal(t, codec.Index(107), b.Hard.Commit, "the configuration is of a committed entry")
	require.NoError(t, b.Log.SetConf([]byte("newer"), 150))
	b.reopen()
	require.Equal(t, codec.Index(109), b.Hard.Commit, "and what is committed is never beyond the end")
	require.Equal(t, codec.Index(150), b.Hard.ConfAsOf)
	require.NoError(t, b.Log.Close())
}

func TestWhatNoSnapshotMayDo(t *testing.T) {
	for why, change := range map[string]func(*Hard){
		"committed up to 20":             func(h *Hard) { h.Before = 20 },
		"in term 5 is given term 4":      func(h *Hard) { h.Term, h.BeforeTerm = 4, 4 },
		"a snapshot of term 6":           func(h *Hard) { h.BeforeTerm = 6 },
		"voted for 3 in term 5":          func(h *Hard) { h.Vote = 2 },
		"told that it was for 0":         func(h *Hard) { h.Vote = 0 },
		"its snapshot is of entry 30 of": nil,
	} {
		b := newBench(t, Options{})
		b.put(20, 1, 20)
		require.NoError(t, b.Log.Write(&Write{Vote: &Vote{Term: 5, For: 3}}))
		require.NoError(t, b.Log.Rest(20))
		h := arrival(5, 30, 0)
		h.Vote = 3
		s := Snapshot{Index: 30, Term: 5}
		if change == nil {
			s.Term = 4
			change = func(h *Hard) { h.Before = 31 }
		}
		change(&h)
		if s.Term == 5 {
			s.Index, s.Term = h.Before, h.BeforeTerm
		}
		err := Guard(func() error { _, err := b.Log.Install(h, s); return err })
		require.ErrorContains(t, err, why)
		require.Equal(t, []string{"hard", "seg", "snap", "wal"}, names(t, b.dir))
		require.NoError(t, b.Log.Close())
	}
}

// What an install left that did not come to its end is no part of the log.
func TestALeftoverOfAnInstallGoes(t *testing.T) {
	b := newBench(t, Options{})
	b.put(5, 1, 20)
	require.NoError(t, b.Log.Close())
	for _, dir := range []string{"wal.1", "seg.1", "snap.1", "wal.0", "seg.7.gone", "wal.gone", "snap.01", "walnut"} {
		require.NoError(t, os.MkdirAll(filepath.Join(b.dir, dir), 0o750))
		require.NoError(t, os.WriteFile(filepath.Join(b.dir, dir, walName(900)), []byte("of another log"), 0o600))
	}
	r, err := Inspect(OS{}, b.dir, nil)
	require.NoError(t, err)
	require.Equal(t, 5, r.Entries)
	b.open()
	require.Equal(t, codec.Index(6), b.Index.Last())
	require.Equal(t, []string{"hard", "seg", "snap", "snap.01", "wal", "wal.0", "walnut"}, names(t, b.dir), "what no install names stays")
	require.NoError(t, b.Log.Close())
}

// A hard state that the version before this one wrote is of log 0.
func TestAHardStateOfVersionOneIsRead(t *testing.T) {
	b := newBench(t, Options{})
	b.put(5, 1, 20)
	require.NoError(t, b.Log.Write(&Write{Vote: &Vote{Term: 5, For: 3}}))
	require.NoError(t, b.Log.Rest(4))
	want := b.Log.hard.now
	require.NoError(t, b.Log.Close())
	name := filepath.Join(b.dir, hardName)
	p, err := os.ReadFile(name)
	require.NoError(t, err)
	for at := 0; at < len(p); at += hardSlotBytes {
		slot := append([]byte(nil), p[at:at+hardSlotBytes]...)
		binary.BigEndian.PutUint16(slot[4:], 1)
		conf := int(binary.BigEndian.Uint16(slot[6:]))
		copy(slot[hardFixed-8:], slot[hardFixed:hardFixed+conf])
		end := hardFixed - 8 + conf
		binary.BigEndian.PutUint32(slot[end:], codec.CRC32C(slot[:end]))
		clear(slot[end+4:])
		copy(p[at:], slot)
	}
	require.NoError(t, os.WriteFile(name, p, 0o600))
	b.open()
	require.Equal(t, want, b.Hard)
	b.install(arrival(9, 100, 0), "theirs")
	b.reopen()
	require.Equal(t, uint64(1), b.Hard.Log)
	require.NoError(t, b.Log.Close())
}

// What retention decided about a log that a snapshot has replaced meanwhile is
// about nothing: the new one does not begin where the old one was to.
func TestRetentionOfTheLogBeforeASnapshotDoesNothing(t *testing.T) {
	for _, c := range []struct {
		name string
		drop func(*bench) *Drop
	}{
		{"segments", func(b *bench) *Drop {
			b.Index.SetStart(b.Index.Next())
			return b.Index.Drop(1 << 40)
		}},
		{"entries", func(b *bench) *Drop { return b.Index.DropEntries(10) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, Options{SegmentBytes: 2000, WALFileBytes: 1000})
			b.put(20, 4, 100)
			b.commit()
			d := c.drop(b)
			require.NotNil(t, d)
			b.install(arrival(9, 60, 500), "theirs")
			require.NoError(t, b.Log.Retain(d))
			for i := range 2 {
				before, term := b.Index.Before()
				require.Equal(t, codec.Index(60), before)
				require.Equal(t, codec.Term(9), term)
				require.Equal(t, codec.Offset(500+8*i), b.Index.Next())
				b.put(2, 4, 100)
				b.reopen()
			}
			require.Equal(t, codec.Index(64), b.Index.Last())
		})
	}
}
