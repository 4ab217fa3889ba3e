package world

import (
	"maps"
	"math/rand/v2"
	"slices"
)

const (
	pageBytes   = 4096
	sectorBytes = 512
)

// page is a piece of a file; nil reads as zeros. A page is never changed once
// it stands in a content, so contents share pages and compare them by
// pointer.
type page = *[pageBytes]byte

// content is the bytes of a file. Beyond the pages it reads as zeros.
type content struct {
	size  int64
	pages []page
}

func (c *content) page(i int64) page {
	if i < int64(len(c.pages)) {
		return c.pages[i]
	}
	return nil
}

func (c *content) set(i int64, p page) {
	for int64(len(c.pages)) <= i {
		c.pages = append(c.pages, nil)
	}
	c.pages[i] = p
}

func (c *content) clone() content { return content{c.size, slices.Clone(c.pages)} }

// truncate changes the size; what is cut off reads as zeros if it comes back.
// It calls changed with each page that it changed.
func (c *content) truncate(size int64, changed func(int64)) {
	first := size / pageBytes
	for i := first; i < int64(len(c.pages)); i++ {
		if c.pages[i] == nil {
			continue
		}
		if at := size - i*pageBytes; at > 0 {
			p := *c.pages[i]
			clear(p[at:])
			c.pages[i] = &p
		} else {
			c.pages[i] = nil
		}
		changed(i)
	}
	c.size = size
}

// write puts b at off and calls changed with each page that it changed.
func (c *content) write(off int64, b []byte, changed func(int64)) {
	c.size = max(c.size, off+int64(len(b)))
	for len(b) > 0 {
		i, at := off/pageBytes, off%pageBytes
		p := new([pageBytes]byte)
		if was := c.page(i); was != nil {
			*p = *was
		}
		n := copy(p[at:], b)
		c.set(i, p)
		changed(i)
		off, b = off+int64(n), b[n:]
	}
}

// read is the n bytes at off, zeros beyond the pages.
func (c *content) read(off, n int64) []byte {
	out := make([]byte, max(0, n))
	for at := int64(0); at < n; {
		i, in := (off+at)/pageBytes, (off+at)%pageBytes
		step := min(pageBytes-in, n-at)
		if p := c.page(i); p != nil {
			copy(out[at:at+step], p[in:])
		}
		at += step
	}
	return out
}

// extents calls each with every run of bytes that may not be zero, and its
// position.
func (c *content) extents(each func(off int64, b []byte) error) error {
	for i, p := range c.pages {
		off := int64(i) * pageBytes
		if p == nil || off >= c.size {
			continue
		}
		if err := each(off, p[:min(pageBytes, c.size-off)]); err != nil {
			return err
		}
	}
	return nil
}

// file is what the disk knows of one file: its bytes as a process reads them
// and its bytes as the last fsync left them.
type file struct {
	now, synced content
	dirty       map[int64]bool // pages of now that may differ from synced
	gated       map[int64]page // pages that a failed fsync marked clean: no fsync writes them any more
	ino         uint64         // of the host's file that mirrors it
}

func newFile(ino uint64) *file {
	return &file{dirty: map[int64]bool{}, gated: map[int64]page{}, ino: ino}
}

func (f *file) touched(i int64) { f.dirty[i] = true }

// sync makes the bytes and the size durable, but for pages that a failed
// fsync took for written and that were not written to since.
func (f *file) sync() {
	for i := range f.dirty {
		if p, gated := f.gated[i]; gated && p == f.now.page(i) {
			continue
		}
		if p := f.now.page(i); p != nil || f.synced.page(i) != nil {
			f.synced.set(i, p)
		}
		delete(f.dirty, i)
		delete(f.gated, i)
	}
	f.synced.size = f.now.size
}

// syncFailed is an fsync that failed: the kernel reports it once and marks the
// pages clean, though the disk does not have them.
// Source: https://wiki.postgresql.org/wiki/Fsync_Errors
func (f *file) syncFailed() {
	for i := range f.dirty {
		f.gated[i] = f.now.page(i)
	}
}

// crashed is what a power cut may leave of f.
func (f *file) crashed(mode Mode, chance *rand.Rand) content {
	switch mode {
	case Kept:
		return f.now.clone()
	case Lost:
		return f.synced.clone()
	}
	c := f.synced.clone()
	before := f.synced.size
	c.size = max(before, f.now.size)
	pick := picker(mode, chance)
	for _, i := range slices.Sorted(maps.Keys(f.dirty)) {
		if p := tear(f.synced.page(i), f.now.page(i), pick); p != nil {
			c.set(i, p)
		}
	}
	if mode == Flipped {
		f.flip(&c, chance)
	}
	size := f.now.size
	if lo, hi := min(before, size), max(before, size); mode == Torn && hi > lo {
		size = lo + chance.Int64N(hi-lo+1)
	}
	c.truncate(size, func(int64) {})
	return c
}

// picker chooses for each sector what became of it.
func picker(mode Mode, chance *rand.Rand) func() sectorFate {
	switch mode {
	case Zeroed:
		return func() sectorFate { return sectorFate(chance.IntN(2)) + sectorNew }
	case Flipped:
		return func() sectorFate { return sectorNew }
	default:
		return func() sectorFate { return sectorFate(chance.IntN(2)) }
	}
}

type sectorFate int

const (
	sectorOld sectorFate = iota
	sectorNew
	sectorZero
)

// tear makes a page of which each sector that differs is old, new or zero. A
// byte that is the same in both stays: it was fsynced. nil when nothing
// differs.
func tear(was, is page, pick func() sectorFate) page {
	if was == is {
		return nil
	}
	var zeros [pageBytes]byte
	if was == nil {
		was = &zeros
	}
	if is == nil {
		is = &zeros
	}
	p := *was
	for at := 0; at < pageBytes; at += sectorBytes {
		old, fresh, out := was[at:at+sectorBytes], is[at:at+sectorBytes], p[at:at+sectorBytes]
		if slices.Equal(old, fresh) {
			continue
		}
		switch pick() {
		case sectorNew:
			copy(out, fresh)
		case sectorZero:
			for i := range out {
				if old[i] != fresh[i] {
					out[i] = 0
				}
			}
		}
	}
	return &p
}

// flip turns one bit of one byte of c that no fsync covers.
func (f *file) flip(c *content, chance *rand.Rand) {
	for _, i := range shuffled(f.dirty, chance) {
		was, is := f.synced.page(i), f.now.page(i)
		if was == is || is == nil {
			continue
		}
		var at []int
		for k := range is {
			if was == nil && is[k] != 0 || was != nil && was[k] != is[k] {
				at = append(at, k)
			}
		}
		if len(at) == 0 {
			continue
		}
		p := *c.page(i)
		p[at[chance.IntN(len(at))]] ^= 1 << chance.IntN(8)
		c.set(i, &p)
		return
	}
}

func shuffled(set map[int64]bool, chance *rand.Rand) []int64 {
	list := slices.Sorted(maps.Keys(set))
	chance.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}
