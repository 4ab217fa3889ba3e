package world_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/simulations/world"
	"github.com/troupe-mq/troupe/wal"
)

// The data directory of one log is imaged before and after every disk call of
// a life that appends, rolls both kinds of file, cuts, retains, snapshots and
// votes. Each image is what a crash at that moment may leave; each is opened
// again, and must hold all that was promised and nothing that was not.

// logModel is what a log was told, and what it promised.
type logModel struct {
	entries  map[codec.Index][]wal.Entry // what may stand at an index: what was ever written there and not cut for good
	least    codec.Index                 // entries up to it were promised
	promised map[codec.Index]wal.Entry   // and are these
	most     codec.Index                 // no entry above it was ever written
	term     codec.Term                  // a vote in it was promised
	vote     codec.ReplicaID             // this one
	start    codec.Offset                // committed, may be retained up to here
	snapshot codec.Index                 // promised
	log      uint64                      // the number of installs

	committed map[codec.Index]wal.Entry // what must stand where the log calls it committed
}

// logPlay is one log, its model, and the disk below.
type logPlay struct {
	t     *testing.T
	disk  *world.Disk
	dir   string
	opts  wal.Options
	log   *wal.Log
	x     *wal.Index
	model logModel
	next  *logModel // what an install on its way makes of it
	term  codec.Term
}

const imagedDir = "r"

func newLogPlay(t *testing.T, seed uint64) *logPlay {
	d, err := world.NewDisk(seed)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	p := &logPlay{t: t, disk: d, dir: filepath.Join(d.Root(), imagedDir), term: 2,
		opts:  wal.Options{SegmentBytes: 3000, WALFileBytes: 900},
		model: logModel{entries: map[codec.Index][]wal.Entry{}, promised: map[codec.Index]wal.Entry{}, committed: map[codec.Index]wal.Entry{}, least: 1, most: 1, term: 1}}
	return p
}

func (p *logPlay) create() {
	fs := p.disk.Mount()
	h := wal.Hard{Group: 7, Replica: 3, Term: 1, Commit: 1, Durable: 1, Before: 1, BeforeTerm: 1, Conf: []byte("conf"), ConfAsOf: 1}
	require.NoError(p.t, wal.Create(fs, p.dir, h))
	p.open()
}

func (p *logPlay) open() {
	o, err := wal.Open(p.disk.Mount(), p.dir, p.opts, nil)
	p.must(err)
	p.log, p.x = o.Log, o.Index
}

// entry has one batch of all records, or one for each in every other entry.
func (p *logPlay) entry(index codec.Index, base codec.Offset, records, bytes int) wal.Entry {
	e := wal.Entry{Index: index, Term: p.term}
	var run []codec.Descriptor
	each := records
	if index%2 == 0 {
		each = 1
	}
	for at := 0; at < records; at += each {
		b := p.batch(base+codec.Offset(at), each, bytes)
		e.Payloads, run = append(e.Payloads, b), append(run, codec.Describe(b, codec.Millis(index)))
	}
	e.Data = codec.AppendBatchEntry(nil, run...)
	return e
}

func (p *logPlay) batch(base codec.Offset, records, bytes int) codec.Batch {
	var b codec.Builder
	for i := range records {
		o := base + codec.Offset(i)
		b.Append(codec.Millis(o), nil, fmt.Appendf(nil, "%0*d of term %d", bytes, o, p.term), nil)
	}
	built, err := b.Build(codec.NoCompression)
	require.NoError(p.t, err)
	batch := append(codec.Batch(nil), built...)
	epoch, _ := codec.EpochOf(p.term)
	batch.Stamp(base, epoch)
	return batch
}

// put appends n batches in one write, from index first on.
func (p *logPlay) put(first codec.Index, base codec.Offset, n, records, bytes int) {
	p.write(&wal.Write{Commit: p.x.Committed(), Entries: p.run(first, base, n, records, bytes)})
}

// run makes n entries of records each.
func (p *logPlay) run(first codec.Index, base codec.Offset, n, records, bytes int) (list []wal.Entry) {
	for i := range n {
		list = append(list, p.entry(first+codec.Index(i), base, records, bytes))
		base += codec.Offset(records)
	}
	return list
}

func (p *logPlay) append(n, records, bytes int) {
	p.put(p.x.Last()+1, p.x.Next(), n, records, bytes)
}

func (p *logPlay) write(group ...*wal.Write) {
	last := codec.Index(0)
	for _, w := range group {
		first := w.Entries[0].Index
		for i := first; i <= p.model.least; i++ {
			delete(p.model.promised, i) // about to be cut
		}
		p.model.least = min(p.model.least, first-1)
		for _, e := range w.Entries {
			p.model.entries[e.Index] = append(p.model.entries[e.Index], e)
			if last = e.Index; last <= w.Commit {
				p.model.committed[last] = e
			}
			p.model.most = max(p.model.most, last)
		}
	}
	p.must(p.log.Write(group...))
	for _, w := range group {
		p.x.Add(w.Entries)
		for _, e := range w.Entries {
			p.model.entries[e.Index] = []wal.Entry{e}
			p.model.promised[e.Index] = e
		}
		if w.Vote != nil {
			p.model.term, p.model.vote = w.Vote.Term, w.Vote.For
		}
	}
	if !p.opts.NoSync {
		p.model.least = last
	}
	for i := last + 1; i <= p.model.most; i++ {
		delete(p.model.entries, i)
	}
	p.model.most = last
}

func (p *logPlay) vote(term codec.Term) {
	p.term = term
	p.must(p.log.Write(&wal.Write{Vote: &wal.Vote{Term: term, For: 3}}))
	p.model.term, p.model.vote = term, 3
}

func (p *logPlay) commit() { p.x.Commit(p.x.Last()) }

func (p *logPlay) retain(start codec.Offset) {
	p.x.SetStart(start)
	p.model.start = start
	if d := p.x.Drop(1 << 60); d != nil {
		p.must(p.log.Retain(d))
	}
}

func (p *logPlay) snap(index codec.Index) {
	term, _ := p.x.Term(index)
	_, err := p.log.WriteSnapshot(wal.Snapshot{Index: index, Term: term, Data: asOf(index, p.model.log)})
	p.must(err)
	p.model.snapshot = index
}

func asOf(index codec.Index, log uint64) []byte {
	return fmt.Appendf(nil, "as of %d in log %d", index, log)
}

func (p *logPlay) reopen() {
	p.must(p.log.Close())
	p.open()
	p.model.least = p.x.Last()
}

// failedCall ends a story in which a call of the disk fails.
type failedCall struct{ err error }

// must goes on when nothing failed.
func (p *logPlay) must(err error) {
	if err != nil {
		panic(failedCall{err})
	}
}

// story is the life that is imaged.
func (p *logPlay) story(r *rand.Rand) {
	p.vote(2)
	for range 4 {
		p.append(1+r.IntN(3), 1+r.IntN(3), 20+r.IntN(200))
	}
	p.commit()
	p.append(12, 1, 30)  // descriptors of one group in two files
	p.append(3, 1, 1200) // a group over two segments
	p.snap(p.x.Committed())
	last := p.x.Last()
	p.vote(5)
	// Another leader of term 5 replaces what was not committed.
	back := p.x.Committed() + 2 + codec.Index(r.IntN(3))
	p.put(back, p.offsetAt(back), 2, 2, 150)
	require.Less(p.t, p.x.Last(), last)
	p.commit()
	p.must(p.log.Rest(p.x.Committed()))
	p.append(5, 2, 400)
	p.reopen()
	p.commit()
	p.append(4, 1, 700)
	p.commit()
	p.snap(p.x.Committed())
	p.retain(p.x.Next() - 2)
	p.append(2, 1, 90)
	p.vote(6)
	p.append(1, 3, 50)
	p.commit()
	p.must(p.log.Rest(p.x.Committed()))
	p.must(p.log.Close())
}

// offsetAt is the base offset of the batch at an index.
func (p *logPlay) offsetAt(index codec.Index) codec.Offset {
	run, ok, err := codec.ParseBatchEntry(p.model.promised[index].Data)
	require.NoError(p.t, err)
	require.True(p.t, ok)
	return run.Base()
}

// check opens what a crash left and compares it with the model: while an
// install is on its way, with the old one or with the new one.
func (p *logPlay) check(fs wal.FS, dir string) error {
	m := &p.model
	if there, err := wal.Exists(fs, dir); err != nil || !there {
		if m.most == 1 && m.term == 1 {
			return err // the log was being made
		}
		return fmt.Errorf("the directory is gone: %w", err)
	}
	opened, err := wal.Open(fs, dir, p.opts, nil)
	if err != nil {
		return err
	}
	if p.next != nil && opened.Hard.Log == p.next.log {
		m = p.next
	}
	err = m.compare(opened)
	if err == nil {
		err = m.alone(fs, dir)
	}
	if cerr := opened.Log.Close(); err == nil {
		err = cerr
	}
	return err
}

// alone says whether there is anything but the one log in dir.
func (m *logModel) alone(fs wal.FS, dir string) error {
	names, err := fs.ReadDir(dir)
	if err != nil {
		return err
	}
	var got []string
	for _, n := range names {
		got = append(got, n.Name)
	}
	want := []string{"hard", "seg", "snap", "wal"}
	for i := range want[1:] {
		if m.log > 0 {
			want[1+i] += fmt.Sprintf(".%d", m.log)
		}
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("the directory of log %d holds %v, want %v", m.log, got, want)
	}
	return nil
}

func (m *logModel) compare(o *wal.Opened) error {
	x := o.Index
	if x.Last() < m.least {
		return fmt.Errorf("the log ends at entry %d, entry %d was promised", x.Last(), m.least)
	}
	if x.Last() > m.most {
		return fmt.Errorf("the log ends at entry %d, none above %d was written", x.Last(), m.most)
	}
	if o.Hard.Term < m.term || o.Hard.Term == m.term && o.Hard.Vote != m.vote {
		return fmt.Errorf("vote is for %d in term %d, one for %d in term %d was promised", o.Hard.Vote, o.Hard.Term, m.vote, m.term)
	}
	if o.Hard.Log != m.log {
		return fmt.Errorf("it is log %d of the replica, %d were installed", o.Hard.Log, m.log)
	}
	if x.Start() > m.start {
		return fmt.Errorf("the log starts at offset %d, %d was committed", x.Start(), m.start)
	}
	if m.snapshot > 0 && (o.Snapshot == nil || o.Snapshot.Index < m.snapshot || string(o.Snapshot.Data) != string(asOf(o.Snapshot.Index, m.log))) {
		return fmt.Errorf("snapshot of entry %d is gone or not what was written", m.snapshot)
	}
	x.Commit(x.Last())
	view := x.View()
	before, _ := x.Before()
	for i := before + 1; i <= x.Last(); i++ {
		if err := m.compareEntry(x, view, i); err != nil {
			return fmt.Errorf("entry %d: %w", i, err)
		}
		term, _ := x.Term(i)
		if is, ok := m.committed[i]; ok && i <= o.Hard.Commit && term != is.Term {
			return fmt.Errorf("entry %d of term %d is called committed, it is that of term %d", i, term, is.Term)
		}
	}
	return nil
}

func (m *logModel) compareEntry(x *wal.Index, view *wal.View, i codec.Index) error {
	list, err := x.ReadEntries(i, i+1, 1<<20)
	if err != nil {
		return err
	}
	var is *wal.Entry
	for _, e := range m.entries[i] {
		if e.Term == list[0].Term && string(e.Data) == string(list[0].Data) {
			is = &e
		}
	}
	if is == nil {
		return fmt.Errorf("it was invented: term %d, data %x", list[0].Term, list[0].Data)
	}
	run, _, err := codec.ParseBatchEntry(is.Data)
	if err != nil {
		return err
	}
	for k := range run.Len() {
		d := run.At(k)
		if d.Limit() <= view.Start() {
			continue
		}
		p, err := view.Read(nil, max(d.BaseOffset, view.Start()), 1)
		if err != nil {
			return err
		}
		if string(p) != string(is.Payloads[k]) {
			return fmt.Errorf("batch at offset %d reads as something else", d.BaseOffset)
		}
	}
	return nil
}

func TestEveryCrashImageHoldsWhatWasPromised(t *testing.T) {
	const want, perCall = 10_000, 6
	images, again := 0, 0
	seen := map[world.Mode]int{}
	for seed := uint64(1); images < want; seed++ {
		p := newLogPlay(t, seed)
		chance := rand.New(rand.NewPCG(seed, 99))
		p.disk.OnCall(func(c world.Call) {
			if c.Op == "read" || c.Op == "readdir" || c.Op == "size" || c.Op == "close" {
				return // they change nothing
			}
			n, err := p.disk.Images(perCall, chance, func(root string, mode world.Mode) error {
				seen[mode]++
				return p.check(wal.OS{}, filepath.Join(root, imagedDir))
			})
			images += n
			require.NoError(t, err, "seed %d, crash at call %v (done: %v)", seed, c, c.Done)
			if chance.IntN(40) == 0 {
				again += crashOnRecovery(t, p, chance)
			}
		})
		p.create()
		p.story(chance)
	}
	require.Greater(t, again, 500)
	for _, m := range world.Modes() {
		require.Greater(t, seen[m], 20, "mode %v", m)
	}
	t.Logf("%v: %d distinct images opened, %d of crashes in a recovery from a crash", seen, images, again)
}

// crashOnRecovery crashes now, and again at every step of the recovery.
func crashOnRecovery(t *testing.T, p *logPlay, chance *rand.Rand) (images int) {
	d, err := p.disk.Fork(world.Any, chance)
	require.NoError(t, err)
	defer func() { require.NoError(t, d.Close()) }()
	d.OnCall(func(c world.Call) {
		if c.Op == "read" || c.Op == "readdir" || c.Op == "size" || c.Op == "close" {
			return
		}
		n, err := d.Images(3, chance, func(root string, _ world.Mode) error {
			return p.check(wal.OS{}, filepath.Join(root, imagedDir))
		})
		images += n
		require.NoError(t, err, "crash in a recovery, at call %v (done: %v)", c, c.Done)
	})
	require.NoError(t, p.check(d.Mount(), filepath.Join(d.Root(), imagedDir)))
	return images
}
