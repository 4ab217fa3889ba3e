package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// FuzzLines: the lines of any input are that input, however it is cut.
func FuzzLines(f *testing.F) {
	f.Add([]byte("a\nb\n"), false)
	f.Add([]byte("\n\r\n\x00"), true)
	f.Add(bytes.Repeat([]byte("x"), 300<<10), false)
	f.Fuzz(func(t *testing.T, in []byte, slowly bool) {
		var from io.Reader = bytes.NewReader(in)
		if slowly {
			from = iotest.OneByteReader(from)
		}
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		l := newLines(newInterruptible(ctx, from), len(in))
		var got []byte
		for n := int64(1); ; n++ {
			line, err := l.next()
			if err == io.EOF {
				break
			}
			require.NoError(t, err)
			require.NotContains(t, string(line), "\n")
			require.Equal(t, n, l.number)
			got = append(append(got, line...), '\n')
		}
		if len(in) > 0 && in[len(in)-1] != '\n' {
			in = append(in[:len(in):len(in)], '\n')
		}
		require.True(t, bytes.Equal(in, got))
	})
}

func TestALineAboveTheLimitIsMeasured(t *testing.T) {
	const max = 10
	for _, size := range []int{max + 1, 256<<10 - 1, 256 << 10, 256<<10 + 1, 1 << 20} {
		for _, end := range []string{"", "\n", "\nmore\n"} {
			l := newLines(strings.NewReader("short\n"+strings.Repeat("x", size)+end), max)
			_, err := l.next()
			require.NoError(t, err)
			_, err = l.next()
			require.Equal(t, tooLong{bytes: int64(size)}, err)
			require.Equal(t, int64(2), l.number)
		}
	}
}

// endless is a line without an end.
type endless struct{ read int64 }

func (e *endless) Read(p []byte) (int, error) { e.read += int64(len(p)); return len(p), nil }

func TestALineWithoutAnEndIsGivenUp(t *testing.T) {
	e := &endless{}
	_, err := newLines(e, 10).next()
	var long tooLong
	require.ErrorAs(t, err, &long)
	require.True(t, long.more)
	require.Contains(t, err.Error(), "more than 268")
	require.Less(t, e.read, int64(300<<20))
}

func TestInputThatFails(t *testing.T) {
	broken := errors.New("broken")
	s := newStage(t)
	var out, errs bytes.Buffer
	in := io.MultiReader(strings.NewReader("one\ntwo\n"), iotest.ErrReader(broken))
	err := run(context.Background(), []string{"produce", "t", "--create", "--server", s.address}, in, &out, &errs)
	require.EqualError(t, err, "produce to t: stopped after 2 records, all certainly stored: read standard input: broken")
	require.ErrorIs(t, err, broken)
}
