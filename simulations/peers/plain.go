package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// plainStep is how much a plain file gets before an fdatasync; a cell whose
// batches come one at a time syncs after each.
const plainStep = 512 << 10

// plain are files that a program appends to and fsyncs by itself: what the disk
// gives to whoever asks for no more. Partitions share the files in turn.
type plain struct {
	files []*plainFile
	lanes sync.WaitGroup
}

type plainFile struct {
	file  *os.File
	work  chan plainWrite
	step  int
	sync  bool
	grown int64
	room  int64
	fail  error
}

type plainWrite struct {
	records [][]byte
	done    func(error)
}

func openPlain(o opened, system string) (driver, error) {
	n, step, sync := 4, plainStep, true
	switch system {
	case plain1:
		n = 1
	case plainP:
		sync = false
	}
	if o.Shape.InFlight == 1 {
		step = 1
	}
	p := &plain{}
	for i := range n {
		f, err := os.OpenFile(filepath.Join(o.Dir, fmt.Sprint("plain-", i)), os.O_RDWR|os.O_CREATE, 0o640)
		if err != nil {
			return nil, fmt.Errorf("open plain file: %w", err)
		}
		one := &plainFile{file: f, work: make(chan plainWrite, 4096), step: step, sync: sync}
		p.files = append(p.files, one)
		p.lanes.Go(one.run)
	}
	return p, nil
}

func (p *plain) send(_ context.Context, partition int, b *batchOf, done func(error)) error {
	p.files[partition%len(p.files)].work <- plainWrite{b.records, done}
	return nil
}

// run appends what comes; after step bytes, or when nothing waits, it syncs.
func (f *plainFile) run() {
	var open []func(error)
	var buf []byte
	flush := func() {
		err := f.flush(buf)
		for _, done := range open {
			done(err)
		}
		buf, open = buf[:0], open[:0]
	}
	for w := range f.work {
		for _, r := range w.records {
			buf = append(buf, r...)
		}
		open = append(open, w.done)
		if len(buf) >= f.step || len(f.work) == 0 {
			flush()
		}
	}
}

// flush writes p into room made ahead, as Troupe does, and syncs.
func (f *plainFile) flush(p []byte) error {
	const ahead = 16 << 20
	if f.grown+int64(len(p)) > f.room {
		if err := syscall.Fallocate(int(f.file.Fd()), 0, f.room, ahead); err != nil {
			return fmt.Errorf("allocate: %w", err)
		}
		f.room += ahead
	}
	if _, err := f.file.WriteAt(p, f.grown); err != nil {
		return err
	}
	f.grown += int64(len(p))
	if !f.sync {
		return nil
	}
	return syscall.Fdatasync(int(f.file.Fd()))
}

// read reads the records of a partition out of the file that it shares.
func (p *plain) read(ctx context.Context, partition int, see func([]byte) (bool, error)) error {
	return fmt.Errorf("plain files are read whole: %w", os.ErrInvalid)
}

func (p *plain) close() error {
	for _, f := range p.files {
		close(f.work)
	}
	p.lanes.Wait()
	return nil
}

// readPlain shows see every record in the files of dir.
func readPlain(dir string, recordSize int, see func([]byte) error) error {
	names, err := filepath.Glob(filepath.Join(dir, "plain-*"))
	if err != nil {
		return err
	}
	for _, name := range names {
		p, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for len(p) >= recordSize {
			if r := p[:recordSize]; r[recordSize-1] != 0 || r[recordSize-2] != 0 { // the filler has none there
				if err := see(r); err != nil {
					return err
				}
			}
			p = p[recordSize:]
		}
	}
	return nil
}
