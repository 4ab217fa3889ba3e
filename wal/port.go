package wal

import (
	"runtime"
	"sync"
)

// Port is the way from actors to the disk. Work is handed over without
// waiting and answered by a call of done, from a goroutine of the port: done
// must only pass the answer on. Each directory has a Lane, whose jobs run one
// after the other; lanes run side by side.
type Port struct {
	run func(job func())

	mu    sync.Mutex
	lanes map[string]*Lane
}

// GroupBytesMax bounds what one fsync covers, so that the first of many
// waiting batches does not wait for all of them to be written.
const GroupBytesMax = 32 << 20

// NewPort makes a port whose lanes run their jobs by run: a Pool's, or the
// simulated world's.
func NewPort(run func(job func())) *Port {
	return &Port{run: run, lanes: make(map[string]*Lane)}
}

// Lane is the lane of dir, the same for every caller. Who opens a log on it
// comes behind whoever has still to close one there, so that no two ever
// write to one directory.
func (p *Port) Lane(dir string) *Lane {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.lanes[dir]
	if l == nil {
		l = &Lane{port: p, dir: dir}
		p.lanes[dir] = l
	}
	return l
}

// Forget gives up the lane of a directory that is gone for good, if nothing waits
// there. Nobody may ask for it again but to find the directory gone.
func (p *Port) Forget(dir string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := p.lanes[dir]; l != nil && l.idle() {
		delete(p.lanes, dir)
	}
}

// Lanes is how many there are.
func (p *Port) Lanes() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.lanes)
}

// Lane is the queue of one directory.
type Lane struct {
	port *Port
	dir  string

	mu    sync.Mutex
	queue []job
	busy  bool
}

// job is one thing to do: a write, which may be done together with those
// behind it, or anything else.
type job struct {
	log   *Log
	write *Write
	bytes int
	done  func(error)
	do    func()
}

// Write hands w over. What waits on the lane goes to the disk as one group:
// one write and one fsync of each file. w must not be touched until done,
// which sees the Places filled in.
func (l *Lane) Write(log *Log, w *Write, done func(error)) {
	n := 0
	for i := range w.Entries {
		n += len(w.Entries[i].Data) + entryHeaderBytes
		for _, b := range w.Entries[i].Payloads {
			n += len(b)
		}
	}
	l.submit(job{log: log, write: w, bytes: n, done: done})
}

// Do runs f on the lane, behind what waits there. f may wait for the disk.
func (l *Lane) Do(f func()) { l.submit(job{do: f}) }

func (l *Lane) submit(j job) {
	l.mu.Lock()
	l.queue = append(l.queue, j)
	start := !l.busy
	l.busy = true
	l.mu.Unlock()
	if start {
		l.port.run(l.work)
	}
}

func (l *Lane) idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.busy
}

// work does one job, or one group of writes, and asks to be run again while
// there is more: so one lane's stream does not keep a worker from the others.
func (l *Lane) work() {
	group := l.take()
	if group[0].do != nil {
		group[0].do()
	} else {
		writeGroup(group)
	}
	l.mu.Lock()
	more := len(l.queue) > 0
	l.busy = more
	l.mu.Unlock()
	if more {
		l.port.run(l.work)
	}
}

// take removes the next job, or the writes to one log that can go together.
func (l *Lane) take() []job {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, bytes := 1, l.queue[0].bytes
	for n < len(l.queue) && l.queue[0].write != nil && l.queue[n].write != nil &&
		l.queue[n].log == l.queue[0].log && bytes+l.queue[n].bytes <= GroupBytesMax {
		bytes += l.queue[n].bytes
		n++
	}
	group := append([]job(nil), l.queue[:n]...)
	rest := copy(l.queue, l.queue[n:])
	clear(l.queue[rest:])
	l.queue = l.queue[:rest]
	return group
}

func writeGroup(group []job) {
	writes := make([]*Write, len(group))
	for i := range group {
		writes[i] = group[i].write
	}
	err := writeOrPanic(group[0].log, writes)
	for i := range group {
		group[i].done(err)
	}
}

// writeOrPanic writes; a log whose invariant broke is not used again.
func writeOrPanic(log *Log, writes []*Write) error {
	err := Guard(func() error { return log.Write(writes...) })
	if err != nil && log.ended == nil {
		log.ended = err
	}
	return err
}

// Guard turns a broken invariant in f into a Panicked error: whoever asked
// hears of it, and restarts from the disk. Other values, such as the
// simulated disk's word for a call that never returns, pass.
func Guard(f func() error) (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case string:
			err = &Panicked{r}
		case runtime.Error:
			err = &Panicked{r.Error()}
		default:
			panic(r)
		}
	}()
	return f()
}

// Panicked says that an invariant of the log was found broken.
type Panicked struct{ Why string }

// Error is the broken invariant.
func (p *Panicked) Error() string { return "panic in the log: " + p.Why }

// Pool is a bounded set of goroutines for a Port: fsyncs of many files run
// side by side, and the file system joins their journal commits.
type Pool struct {
	mu      sync.Mutex
	ready   []func()
	idle    int
	workers int
	max     int
	wake    *sync.Cond
	closed  bool
	ended   sync.WaitGroup
}

// PoolSize is the number of goroutines of a pool unless told otherwise: each
// may hold a thread in an fsync.
const PoolSize = 64

// NewPool makes a pool of at most max goroutines, PoolSize when max is 0.
func NewPool(max int) *Pool {
	if max <= 0 {
		max = PoolSize
	}
	p := &Pool{max: max}
	p.wake = sync.NewCond(&p.mu)
	return p
}

// Run has a goroutine of the pool run job.
func (p *Pool) Run(job func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ready = append(p.ready, job)
	if len(p.ready) > p.idle && p.workers < p.max {
		p.workers++
		p.ended.Add(1)
		go p.work()
		return
	}
	p.wake.Signal()
}

func (p *Pool) work() {
	defer p.ended.Done()
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		for len(p.ready) == 0 {
			if p.closed {
				p.workers--
				return
			}
			p.idle++
			p.wake.Wait()
			p.idle--
		}
		job := p.ready[0]
		p.ready = p.ready[1:]
		p.mu.Unlock()
		job()
		p.mu.Lock()
	}
}

// Close lets the goroutines end when all jobs were run, those that they cause
// included. The channel is closed when they have: never while a disk hangs.
func (p *Pool) Close() <-chan struct{} {
	p.mu.Lock()
	p.closed = true
	p.wake.Broadcast()
	p.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		p.ended.Wait()
		close(ended)
	}()
	return ended
}
