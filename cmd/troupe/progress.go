package main

import (
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// effort is work that may take a while, as a person at a terminal sees it.
// Its functions are called from another goroutine.
type effort struct {
	total int64 // of what there is to do; 0 = not known
	bytes bool  // total and done are bytes
	done  func() int64
	says  func() string // before the bar
}

const (
	showAfter = time.Second // a command that ends before shows nothing
	showEvery = 200 * time.Millisecond
)

// watch shows how far an effort is while standard error is a terminal, from
// its second second on. stop takes it away, before anything else is written.
func (s streams) watch(e effort) (stop func()) {
	if !s.terminal {
		return func() {}
	}
	tick := time.NewTicker(showEvery)
	stopped, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		defer tick.Stop()
		e.show(s.err, time.Now(), tick.C, stopped)
	}()
	return func() { close(stopped); <-gone }
}

// during does something of which nobody can say how far it is.
func during[T any](s streams, says string, do func() (T, error)) (T, error) {
	defer s.watch(effort{done: func() int64 { return 0 }, says: func() string { return says }})()
	return do()
}

// show draws at each tick behind the first second, until stopped.
func (e effort) show(to io.Writer, begun time.Time, tick <-chan time.Time, stopped <-chan struct{}) {
	var bar *progressbar.ProgressBar
	for {
		select {
		case now := <-tick:
			if now.Sub(begun) < showAfter {
				continue
			}
			if bar == nil {
				bar = e.bar(to)
			}
			// What cannot be drawn is not worth a failure.
			bar.Describe(e.says())
			_ = bar.Set64(e.now())
		case <-stopped:
			if bar != nil {
				_ = bar.Clear()
			}
			return
		}
	}
}

// now is how far it is. A bar that is full would end its line.
func (e effort) now() int64 {
	if e.total > 0 {
		return max(0, min(e.done(), e.total-1))
	}
	return max(0, e.done())
}

func (e effort) bar(to io.Writer) *progressbar.ProgressBar {
	total := e.total
	if total <= 0 {
		total = -1
	}
	options := []progressbar.Option{
		progressbar.OptionSetWriter(to), progressbar.OptionSetDescription(e.says()), progressbar.OptionSetWidth(20),
		progressbar.OptionSpinnerType(14), progressbar.OptionSetSpinnerChangeInterval(0), progressbar.OptionSetPredictTime(e.total > 0),
	}
	if e.bytes {
		options = append(options, progressbar.OptionShowBytes(true), progressbar.OptionShowCount())
	}
	return progressbar.NewOptions64(total, options...)
}

// isTerminal says whether a person sees what is written to w.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// sizeOf is how many bytes are still to be read of in, when it is a file; 0
// when it is not.
func sizeOf(in io.Reader) int64 {
	f, ok := in.(*os.File)
	if !ok {
		return 0
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return 0
	}
	at, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0
	}
	return max(0, info.Size()-at)
}
