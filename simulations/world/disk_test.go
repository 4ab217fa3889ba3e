package world

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/wal"
)

// aDisk is a disk that ends with the test, and its first mount.
func aDisk(t *testing.T) (*Disk, wal.FS) {
	t.Helper()
	d, err := NewDisk(1)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return d, d.Mount()
}

func (d *Disk) at(name string) string { return filepath.Join(d.root, name) }

// put makes name hold b, not durably.
func put(t *testing.T, fs wal.FS, name string, b []byte) {
	t.Helper()
	f, err := fs.Open(name, true)
	require.NoError(t, err)
	require.NoError(t, f.WriteAt(0, b))
	require.NoError(t, f.Close())
}

// keep makes name and b durable, in a directory whose own name is.
func keep(t *testing.T, fs wal.FS, name string, b []byte) {
	t.Helper()
	put(t, fs, name, b)
	fsync(t, fs, name)
	require.NoError(t, fs.SyncDir(filepath.Dir(name)))
}

func fsync(t *testing.T, fs wal.FS, name string) {
	t.Helper()
	f, err := fs.Open(name, false)
	require.NoError(t, err)
	require.NoError(t, f.Sync())
	require.NoError(t, f.Close())
}

// files is everything below root: name → content, directories end in a slash.
func files(t *testing.T, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	require.NoError(t, filepath.WalkDir(root, func(name string, e iofs.DirEntry, err error) error {
		if err != nil || name == root {
			return err
		}
		rel := strings.TrimPrefix(name, root+"/")
		if e.IsDir() {
			all[rel+"/"] = ""
			return nil
		}
		b, err := os.ReadFile(name)
		all[rel] = string(b)
		return err
	}))
	return all
}

func allModes() []Mode { return append(Modes(), Any) }

// TestSyncedSurvivesEveryMode: bytes that were fsynced in a file whose name
// was, are there after any crash, whatever was written around them since.
func TestSyncedSurvivesEveryMode(t *testing.T) {
	for _, mode := range allModes() {
		for seed := range uint64(40) {
			d, fs := aDisk(t)
			chance := stream(seed, "test")
			require.NoError(t, fs.MkdirAll(d.at("a/b")))
			require.NoError(t, fs.SyncDir(d.root))
			require.NoError(t, fs.SyncDir(d.at("a")))
			kept := bytes.Repeat([]byte("kept "), 1000)
			keep(t, fs, d.at("a/b/f"), kept)
			f, err := fs.Open(d.at("a/b/f"), false)
			require.NoError(t, err)
			require.NoError(t, f.WriteAt(5000, bytes.Repeat([]byte("more "), 3000)))
			require.NoError(t, f.Allocate(0, 100_000))
			put(t, fs, d.at("a/b/other"), []byte("unsynced"))
			require.NoError(t, d.Crash(mode, chance))
			got := files(t, d.root)["a/b/f"]
			require.GreaterOrEqual(t, len(got), 5000, "%v %d", mode, seed)
			require.Equal(t, string(kept), got[:5000], "%v %d", mode, seed)
			require.NoError(t, d.Close())
		}
	}
}

// TestUnsyncedMayDoAnything: each fate of what was not fsynced happens.
func TestUnsyncedMayDoAnything(t *testing.T) {
	old, fresh := bytes.Repeat([]byte{1}, 2048), bytes.Repeat([]byte{2}, 4096)
	seen := map[Mode]map[string]bool{}
	for _, mode := range allModes() {
		seen[mode] = map[string]bool{}
		for seed := range uint64(300) {
			d, fs := aDisk(t)
			keep(t, fs, d.at("f"), old)
			put(t, fs, d.at("f"), fresh)
			put(t, fs, d.at("g"), fresh)
			require.NoError(t, d.Crash(mode, stream(seed, "test")))
			got := files(t, d.root)
			if _, there := got["g"]; !there {
				seen[mode]["name gone"] = true
			}
			for _, fate := range fates(got["f"]) {
				seen[mode][fate] = true
			}
			require.NoError(t, d.Close())
		}
	}
	set := func(s ...string) map[string]bool {
		m := map[string]bool{}
		for _, x := range s {
			m[x] = true
		}
		return m
	}
	require.Equal(t, set("name gone", "old", "short"), seen[Lost])
	require.Equal(t, set("new"), seen[Kept])
	require.Equal(t, set("name gone", "old", "new", "zero", "short"), seen[Torn], "zeros are what was never written in between")
	require.Equal(t, set("new", "zero"), seen[Zeroed])
	require.Equal(t, set("new", "flipped"), seen[Flipped])
	require.Equal(t, set("name gone", "old", "new", "zero", "short", "flipped"), seen[Any])
}

// fates says what became of the sectors of a file that was 4 old sectors and
// then 8 new ones.
func fates(got string) (all []string) {
	if len(got) < 4096 {
		all = append(all, "short")
	}
	for len(got) > 0 {
		sector := got[:min(sectorBytes, len(got))]
		got = got[len(sector):]
		switch n := len(sector); n {
		case strings.Count(sector, "\x01"):
			all = append(all, "old")
		case strings.Count(sector, "\x02"):
			all = append(all, "new")
		case strings.Count(sector, "\x00"):
			all = append(all, "zero")
		default:
			all = append(all, "flipped")
		}
	}
	return all
}

// TestNamesArriveInOrder: of changed names a prefix arrives, and a rename is
// done or not.
func TestNamesArriveInOrder(t *testing.T) {
	seen := map[string]bool{}
	for seed := range uint64(200) {
		d, fs := aDisk(t)
		keep(t, fs, d.at("old"), []byte("x"))
		put(t, fs, d.at("new.tmp"), []byte("y"))
		fsync(t, fs, d.at("new.tmp"))
		require.NoError(t, fs.Rename(d.at("new.tmp"), d.at("new")))
		require.NoError(t, fs.Remove(d.at("old")))
		require.NoError(t, d.Crash(Torn, stream(seed, "test")))
		seen[fmt.Sprint(files(t, d.root))] = true
		require.NoError(t, d.Close())
	}
	require.Equal(t, map[string]bool{
		"map[old:x]": true, "map[new.tmp:y old:x]": true, "map[new:y old:x]": true, "map[new:y]": true,
	}, seen)
}

// TestATreeThatWasNotSyncedMayVanish and its content does not come without
// SyncDir of its own directory.
func TestATreeThatWasNotSyncedMayVanish(t *testing.T) {
	d, fs := aDisk(t)
	require.NoError(t, fs.MkdirAll(d.at("a/b")))
	keep(t, fs, d.at("a/b/f"), []byte("x"))
	require.NoError(t, d.Crash(Lost, nil))
	require.Empty(t, files(t, d.root), "neither a nor b was made durable")

	fs = d.Mount()
	require.NoError(t, fs.MkdirAll(d.at("fresh")))
	put(t, fs, d.at("fresh/f"), []byte("x"))
	fsync(t, fs, d.at("fresh/f"))
	require.NoError(t, fs.Rename(d.at("fresh"), d.at("final")))
	require.NoError(t, fs.SyncDir(d.root))
	require.NoError(t, d.Crash(Lost, nil))
	require.Equal(t, map[string]string{"final/": ""}, files(t, d.root))

	fs = d.Mount()
	keep(t, fs, d.at("final/g"), []byte("x"))
	require.NoError(t, fs.RemoveAll(d.at("final")))
	require.NoError(t, fs.RemoveAll(d.at("final")), "what is not there is no error")
	require.NoError(t, d.Crash(Lost, nil))
	require.Equal(t, map[string]string{"final/": "", "final/g": "x"}, files(t, d.root))
}

// TestKillLeavesThePageCache: kill -9 loses nothing, and makes nothing
// durable either.
func TestKillLeavesThePageCache(t *testing.T) {
	d, fs := aDisk(t)
	put(t, fs, d.at("f"), []byte("cached"))
	require.NoError(t, d.Crash(Kept, nil))
	require.Equal(t, map[string]string{"f": "cached"}, files(t, d.root))
	require.NoError(t, d.Crash(Lost, nil))
	require.Empty(t, files(t, d.root))

	fs = d.Mount()
	put(t, fs, d.at("f"), []byte("cached"))
	require.NoError(t, d.Crash(Kept, nil))
	fs = d.Mount()
	fsync(t, fs, d.at("f"))
	require.NoError(t, fs.SyncDir(d.root))
	require.NoError(t, d.Crash(Lost, nil))
	require.Equal(t, map[string]string{"f": "cached"}, files(t, d.root), "the next process can make it durable")
}

// TestTheDeadDoNothing: after a crash everything of the old mount fails, and
// what it held is free.
func TestTheDeadDoNothing(t *testing.T) {
	d, fs := aDisk(t)
	keep(t, fs, d.at("f"), []byte("x"))
	f, err := fs.Open(d.at("f"), false)
	require.NoError(t, err)
	held, err := fs.Lock(d.at("LOCK"))
	require.NoError(t, err)
	_, err = fs.Lock(d.at("LOCK"))
	require.ErrorContains(t, err, "held by another process")
	require.Equal(t, 1, d.Handles())
	require.NoError(t, d.Crash(Kept, nil))
	require.Equal(t, 0, d.Handles())

	_, err = fs.Open(d.at("f"), false)
	require.ErrorIs(t, err, ErrCrashed)
	require.ErrorIs(t, fs.Foreign(d.root, "append", func() error { t.Fatal("ran"); return nil }), ErrCrashed)
	require.ErrorIs(t, f.WriteAt(0, []byte("y")), ErrCrashed)
	require.ErrorIs(t, f.Sync(), ErrCrashed)
	require.ErrorIs(t, f.Close(), ErrCrashed)
	_, err = f.ReadAt(make([]byte, 1), 0)
	require.ErrorIs(t, err, ErrCrashed)

	now, err := d.Mount().Lock(d.at("LOCK"))
	require.NoError(t, err)
	require.ErrorIs(t, held.Close(), ErrCrashed)
	_, err = d.Mount().Lock(d.at("LOCK"))
	require.Error(t, err, "the dead do not unlock what another holds")
	require.NoError(t, now.Close())
}

// TestFailedSyncIsNeverMadeUpFor is fsyncgate: after a failed fsync the next
// one succeeds and the bytes are still not durable, until they are written
// again.
func TestFailedSyncIsNeverMadeUpFor(t *testing.T) {
	d, fs := aDisk(t)
	keep(t, fs, d.at("f"), []byte("old"))
	f, err := fs.Open(d.at("f"), false)
	require.NoError(t, err)
	require.NoError(t, f.WriteAt(0, []byte("new")))
	d.FailCall(0, EIO)
	require.ErrorIs(t, f.Sync(), syscall.EIO)
	require.NoError(t, f.Sync())
	require.NoError(t, f.Sync())
	require.Equal(t, "new", files(t, d.root)["f"], "it can be read")

	fork, err := d.Fork(Lost, nil)
	require.NoError(t, err)
	require.Equal(t, "old", files(t, fork.root)["f"], "and is not durable")
	require.NoError(t, fork.Close())

	require.NoError(t, d.Crash(Kept, nil))
	f, err = d.Mount().Open(d.at("f"), false)
	require.NoError(t, err)
	require.NoError(t, f.Sync())
	fork, err = d.Fork(Lost, nil)
	require.NoError(t, err)
	require.Equal(t, "old", files(t, fork.root)["f"], "nor by the next process")
	require.NoError(t, fork.Close())

	require.NoError(t, f.WriteAt(0, []byte("new")))
	require.NoError(t, f.Sync())
	require.NoError(t, d.Crash(Lost, nil))
	require.Equal(t, "new", files(t, d.root)["f"])

	fs = d.Mount()
	put(t, fs, d.at("g"), []byte("x"))
	d.FailCall(0, EIO)
	require.ErrorIs(t, fs.SyncDir(d.root), syscall.EIO)
	require.NoError(t, fs.SyncDir(d.root))
	fork, err = d.Fork(Lost, nil)
	require.NoError(t, err)
	require.NotContains(t, files(t, fork.root), "g")
	require.NoError(t, fork.Close())
	require.NoError(t, d.Crash(Kept, nil))
	require.NoError(t, d.Mount().SyncDir(d.root))
	require.NoError(t, d.Crash(Lost, nil))
	require.Contains(t, files(t, d.root), "g", "the next process makes names durable")
}

// TestWritesFailInPart: a failing write leaves a prefix.
func TestWritesFailInPart(t *testing.T) {
	lengths := map[int]bool{}
	for seed := range uint64(60) {
		d, err := NewDisk(seed)
		require.NoError(t, err)
		f, err := d.Mount().Open(d.at("f"), true)
		require.NoError(t, err)
		d.FailCall(0, ENOSPC)
		require.ErrorIs(t, f.WriteAt(0, []byte("ab"), []byte("cd")), syscall.ENOSPC)
		got := files(t, d.root)["f"]
		require.True(t, strings.HasPrefix("abcd", got))
		lengths[len(got)] = true
		require.NoError(t, d.Close())
	}
	require.Len(t, lengths, 5)
}

// TestFull is a disk with a limit, and room again.
func TestFull(t *testing.T) {
	d, fs := aDisk(t)
	d.SetCapacity(10)
	f, err := fs.Open(d.at("f"), true)
	require.NoError(t, err)
	require.NoError(t, f.WriteAt(0, []byte("12345678")))
	free, err := fs.Free(d.root)
	require.NoError(t, err)
	require.EqualValues(t, 2, free)
	require.ErrorIs(t, f.Allocate(0, 11), syscall.ENOSPC)
	require.ErrorIs(t, f.WriteAt(6, []byte("abcdef")), syscall.ENOSPC)
	require.Equal(t, "123456abcd", files(t, d.root)["f"], "what had room was written")
	require.NoError(t, f.WriteAt(0, []byte("x")), "what is there can be written over")
	d.SetCapacity(0)
	require.NoError(t, f.WriteAt(10, []byte("ef")))
	require.EqualValues(t, 12, d.Used())
}

// TestRot changes what is read and what is durable.
func TestRot(t *testing.T) {
	d, fs := aDisk(t)
	keep(t, fs, d.at("f"), []byte("abcdef"))
	require.NoError(t, d.FlipBit(d.at("f"), 0, 1))
	require.NoError(t, d.ZeroRange(d.at("f"), 4, 6))
	require.Equal(t, "cbcd\x00\x00", files(t, d.root)["f"])
	require.NoError(t, d.Crash(Lost, nil))
	require.Equal(t, "cbcd\x00\x00", files(t, d.root)["f"])
	require.Error(t, d.FlipBit(d.at("f"), 6, 0))
	require.ErrorIs(t, d.FlipBit(d.at("none"), 0, 0), iofs.ErrNotExist)
}

// TestEveryCallCanFail lets the k-th of a script's calls fail, for all k and
// kinds, and finds each error where it belongs.
func TestEveryCallCanFail(t *testing.T) {
	script := func(d *Disk, fs wal.FS) error {
		f, err := fs.Open(d.at("f"), true)
		if err != nil {
			return err
		}
		for _, call := range []func() error{
			func() error { return f.WriteAt(0, []byte("abc")) },
			func() error { return f.Allocate(0, 100) },
			func() error { return f.Truncate(3) },
			f.Sync,
			func() error { _, err := f.Size(); return err },
			func() error { _, err := f.ReadAt(make([]byte, 3), 0); return err },
			f.Close,
			func() error { return fs.MkdirAll(d.at("a")) },
			func() error { return fs.Rename(d.at("f"), d.at("g")) },
			func() error { return fs.SyncDir(d.root) },
			func() error { _, err := fs.ReadDir(d.root); return err },
			func() error { _, err := fs.Free(d.root); return err },
			func() error { return fs.Foreign(d.at("a"), "append", func() error { return nil }) },
			func() error { return fs.Remove(d.at("g")) },
			func() error { return fs.RemoveAll(d.at("a")) },
			func() error { _, err := fs.Lock(d.at("LOCK")); return err },
		} {
			if err := call(); err != nil {
				return err
			}
		}
		return nil
	}
	calls := 0
	for _, fault := range Faults() {
		for k := 0; ; k++ {
			d, fs := aDisk(t)
			d.FailCall(k, fault)
			var last Call
			d.OnCall(func(c Call) { last = c })
			var err error
			hangs := unlessHung(func() { err = script(d, fs) })
			if !hangs && err == nil {
				require.Equal(t, d.Calls(), k, "every call was hit")
				calls = k
				break
			}
			require.Equal(t, k, last.Seq, "nothing is called behind the fault")
			require.Equal(t, fault == Hang, hangs)
			switch fault {
			case EIO:
				require.ErrorIs(t, err, syscall.EIO)
			case ENOSPC:
				require.ErrorIs(t, err, syscall.ENOSPC)
			}
			require.NoError(t, d.Close())
		}
	}
	require.Equal(t, 17, calls)
}

// TestHooksSeeEveryCall twice, and may crash in one.
func TestHooksSeeEveryCall(t *testing.T) {
	d, fs := aDisk(t)
	var seen []string
	d.OnCall(func(c Call) { seen = append(seen, fmt.Sprint(c, c.Done)) })
	put(t, fs, d.at("f"), []byte("abc"))
	require.Equal(t, []string{
		"0 open f false", "0 open f true", "1 write f 3 false", "1 write f 3 true", "2 close f false", "2 close f true",
	}, seen)
	d.OnCall(func(c Call) {
		if !c.Done {
			require.NoError(t, d.Crash(Kept, nil))
		}
	})
	require.ErrorIs(t, fs.Remove(d.at("f")), ErrCrashed)
	require.Contains(t, files(t, d.root), "f", "the crash came before the call")
	fs = d.Mount()
	d.OnCall(func(c Call) {
		if c.Done {
			require.NoError(t, d.Crash(Kept, nil))
		}
	})
	require.ErrorIs(t, fs.Remove(d.at("f")), ErrCrashed)
	require.NotContains(t, files(t, d.root), "f", "the crash came behind it")
}

// TestImages are distinct, change nothing, and are states that Crash allows.
func TestImages(t *testing.T) {
	d, fs := aDisk(t)
	keep(t, fs, d.at("f"), bytes.Repeat([]byte{1}, 2048))
	put(t, fs, d.at("f"), bytes.Repeat([]byte{2}, 4096))
	distinct := map[string]bool{}
	n, err := d.Images(500, stream(1, "test"), func(dir string, mode Mode) error {
		distinct[fmt.Sprint(files(t, dir))] = true
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, 500, n)
	require.Len(t, distinct, 500)
	require.Equal(t, strings.Repeat("\x02", 4096), files(t, d.root)["f"])

	fsync(t, fs, d.at("f"))
	n, err = d.Images(10, stream(1, "test"), func(string, Mode) error { return nil })
	require.NoError(t, err)
	require.LessOrEqual(t, n, 1, "nothing is open once all is fsynced; Kept may have drawn it already")
	broken := fmt.Errorf("found it")
	put(t, fs, d.at("f"), []byte{3})
	_, err = d.Images(10, stream(1, "test"), func(string, Mode) error { return broken })
	require.ErrorIs(t, err, broken)
}

// TestConformance plays one script on the real disk and on the simulated one:
// same results, same files.
func TestConformance(t *testing.T) {
	d, sim := aDisk(t)
	host := t.TempDir()
	require.Equal(t, conform(t, wal.OS{}, host), conform(t, sim, d.root))
	require.Equal(t, files(t, host), files(t, d.root))
}

// conform does one of everything below root and says what came back.
func conform(t *testing.T, fs wal.FS, root string) (said []string) {
	t.Helper()
	at := func(name string) string { return filepath.Join(root, name) }
	say := func(what string, err error, v ...any) {
		kind := "ok"
		for _, k := range []error{iofs.ErrNotExist, iofs.ErrClosed, io.EOF, syscall.ENOTEMPTY, syscall.EISDIR, syscall.ENOTDIR, syscall.EINVAL} {
			if kind == "ok" && errors.Is(err, k) {
				kind = k.Error()
			}
		}
		if err != nil && kind == "ok" {
			kind = "another error"
		}
		said = append(said, fmt.Sprint(what, " ", kind, v))
	}
	open := func(name string, create bool) wal.File {
		f, err := fs.Open(at(name), create)
		say("open "+name, err)
		return f
	}
	list := func(name string) {
		l, err := fs.ReadDir(at(name))
		for i := range l {
			if l[i].Dir {
				l[i].Size = 0
			}
		}
		say("list "+name, err, l)
	}
	size := func(f wal.File) { n, err := f.Size(); say("size", err, n) }
	read := func(f wal.File, off int64, n int) {
		p := make([]byte, n)
		n, err := f.ReadAt(p, off)
		say("read", err, n, p)
	}
	open("none", false)
	open("none/f", true)
	list("none")
	say("mkdir", fs.MkdirAll(at("a/b")))
	say("mkdir again", fs.MkdirAll(at("a/b")))
	open("a", false)
	f := open("a/f", true)
	say("write", f.WriteAt(3, []byte("abc"), nil, []byte("def")))
	size(f)
	read(f, 0, 9)
	read(f, 5, 9)
	read(f, 9, 1)
	say("allocate", f.Allocate(4, 10000))
	size(f)
	say("allocate less", f.Allocate(0, 5))
	size(f)
	read(f, 9, 3)
	say("truncate", f.Truncate(5))
	read(f, 0, 9)
	say("grow", f.Truncate(20))
	read(f, 0, 20)
	say("truncate to less than none", f.Truncate(-1))
	say("sync", f.Sync())
	say("syncdir", fs.SyncDir(at("a")))
	say("syncdir of none", fs.SyncDir(at("none")))
	list("a")
	g := open("a/f", true)
	read(g, 3, 2)
	say("rename", fs.Rename(at("a/f"), at("a/g")))
	say("rename none", fs.Rename(at("a/f"), at("a/h")))
	say("write after rename", g.WriteAt(0, []byte("x")))
	open("a/h", true)
	say("replace", fs.Rename(at("a/h"), at("a/g")))
	read(f, 0, 5)
	list("a")
	say("remove full", fs.Remove(at("a")))
	say("remove", fs.Remove(at("a/g")))
	say("remove again", fs.Remove(at("a/g")))
	read(f, 0, 5)
	say("close", f.Close())
	say("close again", f.Close())
	say("remove empty", fs.Remove(at("a/b")))
	open("a/file", true)
	say("mkdir over a file", fs.MkdirAll(at("a/file")))
	list("a/file")
	say("rename a directory", fs.Rename(at("a"), at("z")))
	list("z")
	say("mkdir", fs.MkdirAll(at("z/deep/er")))
	open("z/deep/er/f", true)
	say("removeall", fs.RemoveAll(at("z/deep")))
	list("z")
	c, err := fs.Lock(at("z/LOCK"))
	say("lock", err)
	_, err = fs.Lock(at("z/LOCK"))
	say("lock again", err)
	say("unlock", c.Close())
	_, err = fs.Lock(at("z/LOCK"))
	say("lock after", err)
	return said
}
