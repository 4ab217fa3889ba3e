package world

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	tidwall "github.com/tidwall/wal"

	"github.com/troupe-mq/troupe/wal"
)

// library is a log of tidwall/wal on a simulated disk, as the engine in wal
// uses it.
type library struct {
	d    *Disk
	fs   wal.FS
	dir  string
	log  *tidwall.Log
	last uint64
}

var payload = bytes.Repeat([]byte("payload "), 20)

func openLibrary(t *testing.T, d *Disk, dir string) *library {
	t.Helper()
	l := &library{d: d, fs: d.Mount(), dir: dir}
	require.NoError(t, l.open())
	var err error
	l.last, err = l.log.LastIndex()
	require.NoError(t, err)
	return l
}

func (l *library) open() error {
	return l.fs.Foreign(l.dir, "open", func() (err error) {
		l.log, err = tidwall.Open(l.dir, &tidwall.Options{NoSync: true, SegmentSize: 1000, SegmentCacheSize: 1, AllowEmpty: true, NoCopy: true, DirPerms: 0o750, FilePerms: 0o640})
		return err
	})
}

func (l *library) append(n int) error {
	var b tidwall.Batch
	for i := range n {
		b.Write(l.last+uint64(i)+1, payload)
	}
	err := l.fs.Foreign(l.dir, "append", func() error { return l.log.WriteBatch(&b) })
	if err == nil {
		l.last += uint64(n)
	}
	return err
}

func (l *library) truncateBack(last uint64) error {
	return l.fs.Foreign(l.dir, "truncate", func() error { return l.log.TruncateBack(last) })
}

func (l *library) truncateFront(first uint64) error {
	return l.fs.Foreign(l.dir, "truncate", func() error { return l.log.TruncateFront(first) })
}

// zeros makes room in the tail behind the library's back, as the engine does.
func (l *library) zeros(t *testing.T, n int) {
	t.Helper()
	list, err := l.fs.ReadDir(l.dir)
	require.NoError(t, err)
	f, err := l.fs.Open(filepath.Join(l.dir, list[len(list)-1].Name), false)
	require.NoError(t, err)
	size, err := f.Size()
	require.NoError(t, err)
	require.NoError(t, f.WriteAt(size, make([]byte, n)))
	require.NoError(t, f.Close())
}

func (l *library) syncTail(t *testing.T) {
	t.Helper()
	list, err := l.fs.ReadDir(l.dir)
	require.NoError(t, err)
	fsync(t, l.fs, filepath.Join(l.dir, list[len(list)-1].Name))
	require.NoError(t, l.fs.SyncDir(l.dir))
}

// aLibrary is a fresh log in a durable directory.
func aLibrary(t *testing.T, seed uint64) *library {
	t.Helper()
	d, err := NewDisk(seed)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	fs := d.Mount()
	require.NoError(t, fs.MkdirAll(d.at("log")))
	require.NoError(t, fs.SyncDir(d.root))
	l := openLibrary(t, d, d.at("log"))
	require.NoError(t, fs.SyncDir(l.dir))
	return l
}

// TestModelFollowsTheLibrary: after any call the model holds what the host
// does, byte for byte.
func TestModelFollowsTheLibrary(t *testing.T) {
	l := aLibrary(t, 1)
	same := func() {
		t.Helper()
		fork, err := l.d.Fork(Kept, nil)
		require.NoError(t, err)
		require.Equal(t, files(t, l.d.root), files(t, fork.root))
		require.NoError(t, fork.Close())
	}
	for i := range 30 {
		require.NoError(t, l.append(1+i%9))
		same()
	}
	for range 5 {
		l.zeros(t, 700)
		same()
		require.NoError(t, l.append(2))
		same()
		require.NoError(t, l.append(3)) // beyond the zeros, or into another file
		same()
	}
	require.NoError(t, l.truncateBack(l.last-1))
	same()
	require.NoError(t, l.truncateBack(60))
	same()
	require.NoError(t, l.truncateFront(13))
	same()
	require.NoError(t, l.truncateFront(30))
	same()
	l.last = 60
	require.NoError(t, l.append(20))
	same()
	require.NoError(t, l.truncateBack(29))
	same()
}

// TestAckedSurvivesInTheLibrary: entries behind which we fsynced the tail and
// its name are there after every crash; segments that were rolled away from
// need no fsync of ours.
func TestAckedSurvivesInTheLibrary(t *testing.T) {
	for _, mode := range allModes() {
		for seed := range uint64(30) {
			l := aLibrary(t, seed)
			require.NoError(t, l.append(17))
			l.syncTail(t)
			acked := l.last
			require.NoError(t, l.append(int(seed)))
			require.NoError(t, l.d.Crash(mode, stream(seed, "test")))
			require.GreaterOrEqual(t, readable(t, l.dir), acked, "%v %d", mode, seed)
		}
	}
}

// readable is the last entry of the unbroken prefix with the right payload.
func readable(t *testing.T, dir string) (last uint64) {
	t.Helper()
	got := files(t, dir)
	entry := append([]byte{0xa0, 0x01}, payload...) // uvarint(160)
	for {
		text, ok := got[fmt.Sprintf("%020d", last+1)]
		n := uint64(0)
		for ; ok && strings.HasPrefix(text, string(entry)); n++ {
			text = text[len(entry):]
		}
		if last += n; n == 0 || text != "" {
			return last
		}
	}
}

// TestUnsyncedTailOfTheLibraryIsTorn: what was not fsynced is often damaged.
func TestUnsyncedTailOfTheLibraryIsTorn(t *testing.T) {
	refused, shorter := 0, 0
	for seed := range uint64(60) {
		l := aLibrary(t, seed)
		require.NoError(t, l.append(3))
		l.syncTail(t)
		require.NoError(t, l.append(2))
		require.NoError(t, l.d.Crash(Torn, stream(seed, "test")))
		again := &library{d: l.d, fs: l.d.Mount(), dir: l.dir}
		if again.open() != nil {
			refused++
		} else if last, err := again.log.LastIndex(); err == nil && last < 5 {
			shorter++
		}
	}
	require.Positive(t, refused, "the library cannot open a torn file")
	require.Positive(t, refused+shorter)
}

// TestTruncationIsOneOfItsSteps: a crash behind a truncation that was not
// made durable leaves one of the states that the library goes through, and
// it opens each of them.
func TestTruncationIsOneOfItsSteps(t *testing.T) {
	for name, cut := range map[string]func(l *library) error{
		"back":  func(l *library) error { return l.truncateBack(10) },
		"tail":  func(l *library) error { return l.truncateBack(29) },
		"front": func(l *library) error { return l.truncateFront(20) },
	} {
		states := map[string]bool{}
		for seed := range uint64(60) {
			l := aLibrary(t, seed)
			require.NoError(t, l.append(30))
			l.syncTail(t)
			require.NoError(t, cut(l))
			require.NoError(t, l.d.Crash(Torn, stream(seed, "test")))
			var names []string
			list, err := l.d.Mount().ReadDir(l.dir)
			require.NoError(t, err)
			for _, e := range list {
				names = append(names, strings.TrimLeft(e.Name, "0"))
			}
			states[strings.Join(names, " ")] = true
			again := openLibrary(t, l.d, l.dir)
			first, err := again.log.FirstIndex()
			require.NoError(t, err)
			require.Contains(t, map[string][]uint64{"back": {1, 10, 1, 30}, "tail": {1, 29, 1, 30}, "front": {20, 30, 1, 30}}[name], first)
			require.Contains(t, map[string][]uint64{"back": {10, 30}, "tail": {29, 30}, "front": {30}}[name], again.last)
		}
		require.GreaterOrEqual(t, len(states), 4, "%s: %v", name, states)
	}
}

// TestLibraryCallsFailInPart: the k-th append or truncation fails; what is on
// the disk is a part of what the library did, and what was fsynced stays.
func TestLibraryCallsFailInPart(t *testing.T) {
	lengths := map[uint64]bool{}
	for seed := range uint64(60) {
		for _, fault := range []Fault{EIO, ENOSPC} {
			l := aLibrary(t, seed)
			require.NoError(t, l.append(5))
			l.syncTail(t)
			l.d.FailCall(0, fault)
			require.ErrorIs(t, l.append(20), map[Fault]error{EIO: syscall.EIO, ENOSPC: syscall.ENOSPC}[fault])
			last := readable(t, l.dir)
			require.GreaterOrEqual(t, last, uint64(5))
			lengths[last] = true
			fork, err := l.d.Fork(Kept, nil)
			require.NoError(t, err)
			require.Equal(t, files(t, l.d.root), files(t, fork.root), "model and host agree")
			require.NoError(t, fork.Close())
			require.NoError(t, l.d.Crash(Lost, nil))
			require.GreaterOrEqual(t, readable(t, l.dir), uint64(5))
		}
	}
	require.Greater(t, len(lengths), 10)

	states := map[string]bool{}
	for seed := range uint64(60) {
		l := aLibrary(t, seed)
		require.NoError(t, l.append(30))
		l.syncTail(t)
		l.d.FailCall(0, EIO)
		require.ErrorIs(t, l.truncateBack(10), syscall.EIO)
		states[fmt.Sprint(len(files(t, l.dir)))] = true
		fork, err := l.d.Fork(Kept, nil)
		require.NoError(t, err)
		require.Equal(t, files(t, l.d.root), files(t, fork.root), "model and host agree")
		require.NoError(t, fork.Close())
		require.NoError(t, l.d.Crash(Kept, nil))
		again := openLibrary(t, l.d, l.dir)
		require.Contains(t, []uint64{10, 30}, again.last)
	}
	require.Greater(t, len(states), 3)
}

// TestLibraryOnAFullDisk ends where the room does.
func TestLibraryOnAFullDisk(t *testing.T) {
	l := aLibrary(t, 1)
	require.NoError(t, l.append(3))
	l.d.SetCapacity(1500)
	require.ErrorIs(t, l.append(20), syscall.ENOSPC)
	require.EqualValues(t, 1500, l.d.Used())
	require.EqualValues(t, 9, readable(t, l.dir))
}

// TestLibraryHangs and an open that is refused has done nothing.
func TestLibraryHangs(t *testing.T) {
	l := aLibrary(t, 1)
	l.d.FailCall(0, Hang)
	require.True(t, unlessHung(func() { _ = l.append(3) }))
	require.NoError(t, l.d.Crash(Lost, nil))
	require.EqualValues(t, 0, readable(t, l.dir))

	before := files(t, l.d.root)
	l.fs = l.d.Mount()
	l.d.FailCall(0, EIO)
	require.ErrorIs(t, l.open(), syscall.EIO)
	require.Equal(t, before, files(t, l.d.root))
}

// TestWhatIsTakenAsGivenOfTheLibrary reads the lines of the library that the
// model believes in: an upgrade that changes them fails here.
func TestWhatIsTakenAsGivenOfTheLibrary(t *testing.T) {
	name, _ := runtime.FuncForPC(reflect.ValueOf(tidwall.Open).Pointer()).FileLine(0)
	source, err := os.ReadFile(name)
	require.NoError(t, err)
	for what, text := range map[string]string{
		"a roll fsyncs the tail first": "func (l *Log) cycle() error {\n\tif err := l.sfile.Sync(); err != nil {",
		"a rewritten file is fsynced before its rename": "if err := f.Sync(); err != nil {\n\t\t\treturn err\n\t\t}\n\t\treturn f.Close()\n" +
			"\t}(); err != nil {\n\t\treturn err\n\t}\n\t// Rename the TEMP file to final name\n\treturn os.Rename(tempName, name)",
		"segments are named by 20 digits": `return fmt.Sprintf("%020d", index)`,
	} {
		require.Contains(t, string(source), text, what)
	}
}
