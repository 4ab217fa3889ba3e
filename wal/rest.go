package wal

import (
	"errors"
	"fmt"

	"github.com/troupe-mq/troupe/codec"
)

// Configure changes the log's options while it is open: the size of segments,
// from the next one on, and whether Write fsyncs. When it returns nil after a
// change to fsync, all that was written before is durable too.
func (l *Log) Configure(o Options) error {
	if l.ended != nil {
		return fmt.Errorf("configure %s: %w", l.dir, l.ended)
	}
	o = o.withDefaults()
	l.seg.bytesMax = o.SegmentBytes
	if !l.sync && !o.NoSync {
		if err := l.syncAll(); err != nil {
			l.ended = errors.Join(ErrClosed, err)
			return fmt.Errorf("configure %s: %w", l.dir, err)
		}
	}
	l.sync = !o.NoSync
	return nil
}

// Rest writes the recovery point and the commit index down, so that damage to
// anything acknowledged is told from a torn write. A log that falls idle, and
// one that closes, rests.
func (l *Log) Rest(commit codec.Index) error {
	if l.ended != nil {
		return fmt.Errorf("rest of %s: %w", l.dir, l.ended)
	}
	err := func() error {
		if !l.sync {
			if err := l.syncAll(); err != nil {
				return err
			}
		}
		next := l.hard.now
		next.Commit, next.Durable = max(next.Commit, min(commit, l.synced)), l.synced
		if next.Commit == l.hard.now.Commit && next.Durable == l.hard.now.Durable {
			return nil
		}
		return l.hard.write(next)
	}()
	if err != nil {
		l.ended = errors.Join(ErrClosed, err)
		return fmt.Errorf("rest of %s: %w", l.dir, err)
	}
	return nil
}

// SetConf writes a new configuration down: conf is raft's ConfState as of
// entry asOf, which must be durable. It never goes back; that of an installed
// snapshot may be ahead of the log until entry asOf is there.
func (l *Log) SetConf(conf []byte, asOf codec.Index) error {
	return l.setHard(func(h *Hard) {
		if asOf < h.ConfAsOf {
			panic(fmt.Sprintf("wal: configuration of %s as of entry %d, it has that of %d", l.dir, asOf, h.ConfAsOf))
		}
		h.Conf, h.ConfAsOf = conf, asOf
		h.Commit = max(h.Commit, min(asOf, l.synced))
	})
}

func (l *Log) setHard(change func(*Hard)) error {
	if l.ended != nil {
		return fmt.Errorf("hard state of %s: %w", l.dir, l.ended)
	}
	next := l.hard.now
	change(&next)
	if err := l.hard.write(next); err != nil {
		l.ended = errors.Join(ErrClosed, err)
		return fmt.Errorf("hard state of %s: %w", l.dir, err)
	}
	return nil
}

// Close lets go of all files. A log whose last call succeeded should rest
// before.
func (l *Log) Close() error {
	if l.ended == nil {
		l.ended = ErrClosed
	}
	var errs []error
	if IsFull(l.ended) && l.sync {
		errs = append(errs, l.seg.cutBack())
	}
	errs = append(errs, l.seg.close())
	if l.wal != nil {
		errs = append(errs, l.wal.close())
	}
	if l.hard != nil {
		errs = append(errs, l.hard.file.Close())
	}
	l.wal, l.hard = nil, nil
	return errors.Join(errs...)
}
