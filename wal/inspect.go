package wal

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/troupe-mq/troupe/codec"
)

// Inspection is what Inspect tells of one batch, at its own Place, or of an
// entry that has none.
type Inspection struct {
	Entry
	Synced     codec.Index
	File       string           // of the WAL, that the entry stands in
	At, End    int64            // where, with its length
	Descriptor codec.Descriptor // of the batch
	Batch      codec.Batch      // nil without one, or when it does not hold
	Damage     error            // why the batch does not hold
}

// Report sums up an Inspect.
type Report struct {
	Hard     Hard
	Entries  int
	Batches  int
	Records  int64
	Bytes    int64
	Last     codec.Index
	Next     codec.Offset
	Snapshot codec.Index // 0 without one
	// Torn says why the last bytes of the WAL are no entry: a crash leaves
	// that, and Open cuts it. Empty otherwise.
	Torn string
	// Quarantined is what a broker found damaged, and wrote down; empty otherwise.
	Quarantined string
	// Slots is how many of the two slots of the hard state hold.
	Slots int
	// Proven is the last entry that is known to have been fsynced: what is wrong
	// up to there is damage.
	Proven codec.Index
}

// Inspect reads a whole log without changing anything: every descriptor, and
// every batch against its descriptor. visit, when given, sees each entry. It
// must not run beside a broker that writes. The first damage that is not a
// torn end is returned as a Corrupt, after all entries were visited.
func Inspect(fs FS, dir string, visit func(*Inspection) error) (*Report, error) {
	hard, err := openHard(fs, filepath.Join(dir, hardName))
	if err != nil {
		return nil, err
	}
	if err := hard.file.Close(); err != nil {
		return nil, err
	}
	before, err := quarantined(fs, dir)
	if err != nil {
		return nil, err
	}
	in := &inspector{fs: fs, dir: dir, visit: visit, report: Report{Hard: hard.now, Last: hard.now.Before, Next: hard.now.Next}}
	in.report.Quarantined, in.report.Slots = before, 1
	if hard.whole() {
		in.report.Slots = 2
	}
	in.proven = max(hard.now.Durable, hard.now.Commit)
	if err := in.run(func(f found) error { in.proven = max(in.proven, f.Synced); return nil }); err != nil {
		return &in.report, err
	}
	in.damage, in.report.Torn, in.report.Proven = nil, "", in.proven // that was only to learn what is proven
	if err := in.run(in.meet); err != nil {
		return &in.report, err
	}
	if in.damage == nil && in.report.Last < max(hard.now.Commit, hard.now.Durable) {
		in.damage = corruptf(in.path(walDir), -1, "the log ends at entry %d, but entry %d was durable", in.report.Last, max(hard.now.Commit, hard.now.Durable))
	}
	if err := in.snapshots(); err != nil {
		return &in.report, err
	}
	if in.report.Slots < 2 && in.report.Torn == "" {
		in.report.Torn = "one slot of the hard state: Open writes it anew from the other"
	}
	return &in.report, in.damage
}

// snapshots reads them all: of one that is damaged the one before it stands in.
func (in *inspector) snapshots() error {
	list, _, err := listSnapshots(in.fs, in.path(snapshotDir))
	if err != nil {
		return err
	}
	for _, index := range list {
		name := filepath.Join(in.path(snapshotDir), snapshotName(index))
		p, err := readFile(in.fs, name)
		if err != nil {
			return fmt.Errorf("read snapshot: %w", err)
		}
		if _, err := decodeSnapshot(p); err != nil {
			in.blame(corruptf(name, -1, "%v", err))
		}
	}
	return nil
}

type inspector struct {
	fs     FS
	dir    string
	visit  func(*Inspection) error
	report Report
	damage error
	file   string      // of the WAL, being read
	proven codec.Index // entries up to it were fsynced: a bad one is damage
}

// path is a directory of the log that the hard state names.
func (in *inspector) path(kind string) string {
	return incarnation(in.report.Hard.Log).dir(in.dir, kind)
}

// run shows meet every entry of the log.
func (in *inspector) run(meet func(found) error) error {
	list, _, err := listSnapshots(in.fs, in.path(snapshotDir))
	if err != nil {
		return err
	}
	if len(list) > 0 {
		in.report.Snapshot = list[len(list)-1]
	}
	dir := in.path(walDir)
	files, _, err := listWAL(in.fs, dir)
	if err != nil {
		return err
	}
	next := in.report.Hard.Before + 1
	for i, first := range files {
		name := filepath.Join(dir, walName(first))
		if first > next || i > 0 && first != next {
			in.blame(corruptf(name, -1, "the file begins at entry %d, want %d", first, next))
			return nil
		}
		p, err := readFile(in.fs, name)
		if err != nil {
			return fmt.Errorf("read WAL: %w", err)
		}
		next, in.file = first, name
		good, bad, err := walkWAL(p, first, func(f found) error { next = f.Index + 1; return meet(f) })
		if err != nil {
			return err
		}
		if bad != nil {
			in.bad(name, good, bad, i+1 < len(files) || provedBehind(p[good:], in.report.Last+1) > in.report.Last)
			return nil
		}
	}
	return nil
}

// bad tells a torn end from damage as Open does.
func (in *inspector) bad(name string, at int64, why error, proved bool) {
	if proved || in.report.Last < in.report.Hard.Durable {
		in.blame(&Corrupt{File: name, At: at, Why: why.Error()})
		return
	}
	in.report.Torn = fmt.Sprintf("%s at byte %d: %v", name, at, why)
}

func (in *inspector) blame(err error) {
	if in.damage == nil {
		in.damage = err
	}
}

func (in *inspector) meet(f found) error {
	if f.Index <= in.report.Hard.Before {
		return nil
	}
	in.report.Entries++
	in.report.Last = f.Index
	run, ok, err := f.batches()
	if err != nil {
		in.blame(corruptf(in.path(walDir), f.At, "entry %d: %v", f.Index, err))
	}
	if !ok {
		return in.show(&Inspection{Entry: f.Entry, Synced: f.Synced, File: in.file, At: f.At, End: f.End, Damage: err})
	}
	in.report.Batches += run.Len()
	in.report.Next = run.Limit()
	place := f.Place
	for k := range run.Len() {
		i := &Inspection{Entry: f.Entry, Synced: f.Synced, File: in.file, At: f.At, End: f.End, Descriptor: run.At(k)}
		i.Place = place
		place.Position += int64(i.Descriptor.Size)
		in.report.Records += int64(i.Descriptor.Count)
		in.report.Bytes += int64(i.Descriptor.Size)
		if err := in.payload(i); err != nil {
			return err
		}
		if err := in.show(i); err != nil {
			return err
		}
	}
	return nil
}

func (in *inspector) show(i *Inspection) error {
	if in.visit == nil {
		return nil
	}
	return in.visit(i)
}

func (in *inspector) payload(i *Inspection) error {
	dir := in.path(segmentDir)
	b, err := readPayload(in.fs, dir, i.Place, int(i.Descriptor.Size))
	if err == nil {
		epoch, _ := codec.EpochOf(i.Term)
		err = i.Descriptor.Matches(b, epoch)
	}
	if err == nil {
		i.Batch = b
		return nil
	}
	i.Damage = err
	where := corruptf(filepath.Join(dir, segmentName(i.Place.Segment)), i.Place.Position, "entry %d: %v", i.Index, err)
	if i.Index > in.proven {
		in.report.Torn = where.Error() // Open cuts it
		return nil
	}
	in.blame(where)
	return nil
}

// Dirs lists the replicas' directories below a broker's data directory: those
// that hold a hard state, in order of name.
func Dirs(fs FS, data string) ([]string, error) {
	names, err := fs.ReadDir(data)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", data, err)
	}
	var out []string
	for _, n := range names {
		if !n.Dir {
			if n.Name == hardName {
				return []string{data}, nil
			}
			continue
		}
		below, err := fs.ReadDir(filepath.Join(data, n.Name))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("list %s: %w", n.Name, err))
		}
		for _, b := range below {
			if b.Name == hardName && !b.Dir {
				out = append(out, filepath.Join(data, n.Name))
			}
		}
	}
	return out, nil
}
