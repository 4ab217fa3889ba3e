package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/troupe-mq/troupe/codec"
)

// TmpfsBytes is the size of the file system that FullDisk wants as o.Dir: the
// broker's reserve of 128 MiB, and room to fill.
const TmpfsBytes = 400 << 20

// fullTopics are those of FullDisk.
var fullTopics = []topic{{"orders", 2, map[string]string{"segment.bytes": "8MiB"}}}

// FullDisk fills the file system o.Dir, which should have TmpfsBytes, twice.
// First producers fill it down to the broker's reserve, and are refused at the
// door. Then something else takes the rest at once, in the middle of writes.
// Each time produce is refused with DISK_FULL, everything can be read, and the
// broker goes on by itself when there is room. At the end it is killed and
// started again.
func FullDisk(ctx context.Context, o Options) (r Report, refusals []error, err error) {
	ballast := filepath.Join(o.Dir, "ballast")
	if err := fill(ballast, 150<<20); err != nil {
		return r, nil, err
	}
	s, err := newStage(ctx, o, fullTopics)
	if err != nil {
		return r, nil, err
	}
	defer func() { err = errors.Join(err, s.end()) }()
	if err := s.produce(ctx); err != nil {
		return r, nil, err
	}
	refused, err := s.full(ctx, ballast, "full-reserve")
	refusals = append(refusals, refused)
	if err != nil {
		return s.report, refusals, err
	}
	if err := fill(ballast, TmpfsBytes); !errors.Is(err, syscall.ENOSPC) {
		return s.report, refusals, fmt.Errorf("fill the disk to the last byte: got %w", err)
	}
	refused, err = s.full(ctx, ballast, "full-to-the-last-byte")
	refusals = append(refusals, refused)
	if err != nil {
		return s.report, refusals, err
	}
	if err := errors.Join(s.broker.Kill(), s.verify(ctx)); err != nil {
		return s.report, refusals, err
	}
	if err := s.start(ctx); err != nil {
		return s.report, refusals, err
	}
	r, err = s.finish(ctx, codec.DiskFull, codec.Unknown, codec.Unavailable)
	return r, refusals, err
}

// full waits until produce is refused, reads everything, makes room and waits
// until the broker goes on. It returns what a producer was told.
func (s *stage) full(ctx context.Context, ballast, session string) (refused, err error) {
	s.rec.forget(codec.DiskFull)
	if err := s.await(ctx, s.rec.afterCode(codec.DiskFull, 20), "DISK_FULL"); err != nil {
		return nil, err
	}
	if err := audit(ctx, s.rec, at(s.broker.Address), session, s.topics); err != nil {
		return nil, err
	}
	refused = s.rec.why(codec.DiskFull)
	if err := os.Remove(ballast); err != nil {
		return refused, err
	}
	return refused, s.await(ctx, s.rec.afterAcked(100), "answers after room was made")
}

// fill makes a file of bytes that are really there.
func fill(name string, bytes int) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	p := make([]byte, 1<<20)
	for i := range p {
		p[i] = byte(i) | 1
	}
	for written := 0; written < bytes; written += len(p) {
		if _, err := f.Write(p); err != nil {
			return err
		}
	}
	return nil
}
