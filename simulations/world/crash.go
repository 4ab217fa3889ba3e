package world

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
)

// Mode is what a crash does to what was not fsynced.
type Mode int

const (
	// Any mixes the others, file by file and directory by directory.
	Any Mode = iota
	// Lost: nothing of it arrived.
	Lost
	// Kept: the process alone died, as by kill -9. The page cache lives on:
	// what was not fsynced is there to be read, and is still not durable.
	Kept
	// Torn: each sector arrived or not; sizes lie between; of changed names
	// the first few arrived.
	Torn
	// Zeroed: names and sizes arrived, sectors arrived or read as zeros.
	Zeroed
	// Flipped: all arrived, but for one bit in each changed file.
	Flipped
)

var modeNames = [...]string{"any", "lost", "kept", "torn", "zeroed", "flipped"}

// String is the mode's name in reports.
func (m Mode) String() string { return modeNames[m] }

// Modes lists the pure modes.
func Modes() []Mode { return []Mode{Lost, Kept, Torn, Zeroed, Flipped} }

func (m Mode) forFile(chance *rand.Rand) Mode {
	if m == Any {
		return Modes()[chance.IntN(len(Modes()))]
	}
	return m
}

// forNames: names come or go, they are not zeroed.
func (m Mode) forNames(chance *rand.Rand) Mode {
	switch m {
	case Any:
		return []Mode{Lost, Kept, Torn}[chance.IntN(3)]
	case Zeroed, Flipped:
		return Kept
	}
	return m
}

// Crash ends every mount: its handles and locks are gone and its calls fail
// with ErrCrashed. Then the directory holds what was durable and, as mode
// says, a part of the rest. chance nil is the disk's own.
func (d *Disk) Crash(mode Mode, chance *rand.Rand) error {
	d.epoch++
	d.locks = map[string]bool{}
	d.note("crash "+mode.String(), 0)
	var errs closing
	for h := range d.handles {
		errs.add(h.host.Close())
	}
	clear(d.handles)
	if errs.err != nil {
		return fmt.Errorf("crash: %w", errs.err)
	}
	if mode == Kept {
		d.tree.mend()
		return nil
	}
	if chance == nil {
		chance = d.chance
	}
	p := d.tree.picture("", mode, chance)
	if err := wipe(d.root); err != nil {
		return fmt.Errorf("crash: %w", err)
	}
	d.tree = p.tree()
	if err := p.write(d.root, d.tree); err != nil {
		return fmt.Errorf("crash: %w", err)
	}
	return nil
}

type closing struct{ err error }

func (c *closing) add(err error) {
	if c.err == nil {
		c.err = err
	}
}

// fingerprint tells pictures apart.
func (p picture) fingerprint() [sha256.Size]byte {
	h := sha256.New()
	var b [16]byte
	for _, e := range p {
		_, _ = io.WriteString(h, e.name)
		b[0] = 0
		if e.dir {
			b[0] = 1
		}
		binary.BigEndian.PutUint64(b[1:], uint64(e.content.size))
		_, _ = h.Write(b[:9])
		_ = e.content.extents(func(off int64, data []byte) error {
			if !zero(data) {
				binary.BigEndian.PutUint64(b[:], uint64(off))
				_, _ = h.Write(b[:8])
				_, _ = h.Write(data)
			}
			return nil
		})
	}
	return [sha256.Size]byte(h.Sum(nil))
}

func zero(b []byte) bool {
	for _, x := range b {
		if x != 0 {
			return false
		}
	}
	return true
}

// Fork makes another disk that holds one crash image of the present moment,
// all of it durable. This disk does not change. chance nil is its own.
func (d *Disk) Fork(mode Mode, chance *rand.Rand) (*Disk, error) {
	if chance == nil {
		chance = d.chance
	}
	p := d.tree.picture("", mode, chance)
	other, err := NewDisk(chance.Uint64())
	if err != nil {
		return nil, err
	}
	other.tree = p.tree()
	if err := p.write(other.root, other.tree); err != nil {
		return nil, fmt.Errorf("fork a disk: %w", err)
	}
	return other, nil
}

// Images draws crash images of the present moment and calls visit with a
// directory that holds each, until it has drawn n that no earlier call of
// Images on this disk has drawn, or finds no new one. The directory is made
// anew for each visit. The disk itself does not change. It returns how many
// were visited, and the first error of visit, which ends it.
//
// The pure modes come first, so small n covers them.
func (d *Disk) Images(n int, chance *rand.Rand, visit func(dir string, mode Mode) error) (visited int, err error) {
	dir, err := scratch()
	if err != nil {
		return 0, fmt.Errorf("crash images: %w", err)
	}
	defer func() {
		if rerr := discard(dir); err == nil {
			err = rerr
		}
	}()
	for stale, i := 0, 0; visited < n && stale < 32; i++ {
		mode := Any
		if i < len(Modes()) {
			mode = Modes()[i]
		} else if i%2 == 0 {
			mode = Torn
		}
		p := d.tree.picture("", mode, chance)
		print := p.fingerprint()
		if d.drawn[print] {
			stale++
			continue
		}
		d.drawn[print], stale = true, 0
		if err := wipe(dir); err != nil {
			return visited, fmt.Errorf("crash images: %w", err)
		}
		if err := p.write(dir, nil); err != nil {
			return visited, fmt.Errorf("crash images: %w", err)
		}
		visited++
		if err := visit(dir, mode); err != nil {
			return visited, err
		}
	}
	return visited, nil
}
