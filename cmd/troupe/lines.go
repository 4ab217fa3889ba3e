package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
)

// lines cuts a stream into lines. A line is all bytes up to \n, whatever they
// are; the last one may go without. It holds one line at a time.
type lines struct {
	from   *bufio.Reader
	max    int   // bytes of a line
	number int64 // of the line that next returned, from 1
	long   []byte
}

// tooLong is a line above the limit.
type tooLong struct {
	bytes int64
	more  bool // it was not read to its end
}

func (e tooLong) Error() string {
	if e.more {
		return fmt.Sprintf("more than %d bytes", e.bytes)
	}
	return fmt.Sprintf("%d bytes", e.bytes)
}

func newLines(from io.Reader, max int) *lines {
	return &lines{from: bufio.NewReaderSize(from, 256<<10), max: max}
}

// next is the next line without its \n, valid until the call after; io.EOF
// behind the last. A line of more than max bytes is a tooLong.
func (l *lines) next() ([]byte, error) {
	l.long = l.long[:0]
	for {
		part, err := l.from.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) && !errors.Is(err, io.EOF) {
			return nil, err
		}
		whole := err == nil
		if len(part)+len(l.long) == 0 {
			return nil, io.EOF
		}
		if len(l.long) > 0 || !whole {
			l.long = append(l.long, part...)
			part = l.long
		}
		part = bytes.TrimSuffix(part, []byte("\n"))
		if len(part) > l.max {
			l.number++
			return nil, l.measure(int64(len(part)), whole || errors.Is(err, io.EOF))
		}
		if whole || errors.Is(err, io.EOF) {
			l.number++
			return part, nil
		}
	}
}

// measure finds out how long a line is, within reason, without keeping it.
func (l *lines) measure(size int64, ended bool) error {
	const patience = 256 << 20
	for !ended && size < patience {
		part, err := l.from.ReadSlice('\n')
		size += int64(len(bytes.TrimSuffix(part, []byte("\n"))))
		ended = !errors.Is(err, bufio.ErrBufferFull)
	}
	return tooLong{size, !ended}
}

// counted counts the bytes that are read.
type counted struct {
	from io.Reader
	n    atomic.Int64
}

// Read implements io.Reader.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// interruptible reads from a stream until ctx ends. A read that blocks then
// is left to the end of the process: there is no way to interrupt it.
type interruptible struct {
	ctx    context.Context
	chunks chan chunk
	free   chan []byte // memory for chunks
	chunk  chunk
	rest   []byte // of the chunk
}

type chunk struct {
	data []byte
	err  error
}

func newInterruptible(ctx context.Context, in io.Reader) *interruptible {
	r := &interruptible{ctx: ctx, chunks: make(chan chunk), free: make(chan []byte, 2)}
	r.free <- make([]byte, 128<<10)
	r.free <- make([]byte, 128<<10)
	go r.fill(in)
	return r
}

func (r *interruptible) fill(in io.Reader) {
	for {
		var c chunk
		select {
		case c.data = <-r.free:
		case <-r.ctx.Done():
			return
		}
		n, err := in.Read(c.data[:cap(c.data)])
		c.data, c.err = c.data[:n], err
		select {
		case r.chunks <- c:
		case <-r.ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// Read implements io.Reader. Its error is the cause of ctx's end when that
// came first.
func (r *interruptible) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.chunk.err != nil {
			return 0, r.chunk.err
		}
		if r.chunk.data != nil {
			r.free <- r.chunk.data
		}
		r.chunk = chunk{}
		select {
		case r.chunk = <-r.chunks:
			r.rest = r.chunk.data
		case <-r.ctx.Done():
			return 0, context.Cause(r.ctx)
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}
