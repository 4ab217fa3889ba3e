package chaos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Broker is `troupe serve` on one data directory: the same address and files
// over many lives of the process. It belongs to one goroutine.
type Broker struct {
	Binary  string
	Node    string        // its name
	Args    []string      // of serve, beside those that the fields below say
	Host    *Host         // where it runs; nil is here
	Dir     string        // the data directory
	Address string        // for clients; chosen by NewBroker
	Env     []string      // added to the environment, as "NAME=value"
	Ready   time.Duration // from exec to the ready line, of the last start
	Line    string        // the ready line of the last start

	log  writer // standard error of all lives
	from int    // where in it the last of them begins
	life *life  // nil while no process runs
}

// life is one process.
type life struct {
	cmd   *exec.Cmd
	begun time.Time
	ready chan struct{} // closed with the first line on standard output
	out   writer
	ended chan struct{} // closed when the process is gone
	err   error         // of Wait, valid when ended
}

// NewBroker chooses an address for a broker on dir. Nothing runs yet.
func NewBroker(binary, dir string) (*Broker, error) {
	address, err := freeAddress()
	return &Broker{Binary: binary, Node: "chaos", Dir: dir, Address: address}, err
}

// Ports for brokers lie below those that the kernel gives to connections that
// go out. Else a client that dials a killed broker again and again may get
// its port as its own, or be connected with itself.
const portMin, portMax = 20_000, 32_000

// portNext counts on from a random port, so that no two that were drawn and are not
// listened on yet are the same.
var portNext = func() *atomic.Int64 {
	n := new(atomic.Int64)
	n.Store(rand.Int64N(portMax - portMin))
	return n
}()

func freeAddress() (string, error) {
	var last error
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", portMin+portNext.Add(1)%(portMax-portMin))
		l, err := net.Listen("tcp", address)
		if err == nil {
			return address, l.Close()
		}
		last = err
	}
	return "", fmt.Errorf("find a free port: %w", last)
}

// Begin starts the process and does not wait for it to be ready.
func (b *Broker) Begin() error {
	if b.life != nil {
		panic("chaos: the broker runs already")
	}
	l := &life{ready: make(chan struct{}), ended: make(chan struct{})}
	l.cmd = exec.Command(b.Binary, append([]string{"serve", "--data", b.Dir, "--node", b.Node, "--listen", b.Address, "--http="}, b.Args...)...)
	l.cmd.Env = append(l.cmd.Environ(), b.Env...)
	l.cmd.Stdout, l.cmd.Stderr = &l.out, &b.log
	l.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	l.out.firstLine = l.ready
	b.from = len(b.Log())
	l.begun = time.Now()
	start := l.cmd.Start
	if b.Host != nil {
		start = func() error { return b.Host.Do(l.cmd.Start) }
	}
	if err := start(); err != nil {
		return fmt.Errorf("start broker: %w", err)
	}
	b.life = l
	go func() {
		l.err = l.cmd.Wait()
		close(l.ended)
	}()
	return nil
}

// Start starts the process and waits for its ready line.
func (b *Broker) Start(ctx context.Context) error {
	if err := b.Begin(); err != nil {
		return err
	}
	return b.Await(ctx)
}

// Await waits for the ready line of a process that was begun.
func (b *Broker) Await(ctx context.Context) error {
	l := b.life
	select {
	case <-l.ready:
		b.Ready, b.Line = l.out.at.Sub(l.begun), strings.TrimSpace(l.out.String())
		return nil
	case <-l.ended:
		b.life = nil
		return fmt.Errorf("broker ended before it was ready: %w; its last words:\n%s", errors.Join(l.err), b.LastWords())
	case <-ctx.Done():
		return fmt.Errorf("broker is not ready: %w; its last words:\n%s", ctx.Err(), b.LastWords())
	}
}

// PID is the process's id; 0 while none runs.
func (b *Broker) PID() int {
	if b.life == nil {
		return 0
	}
	return b.life.cmd.Process.Pid
}

// Runs says whether the process has not ended yet.
func (b *Broker) Runs() bool {
	if b.life == nil {
		return false
	}
	select {
	case <-b.life.ended:
		return false
	default:
		return true
	}
}

// Signal sends the running process a signal.
func (b *Broker) Signal(s syscall.Signal) error {
	if b.life == nil {
		return errors.New("no broker runs")
	}
	return b.life.cmd.Process.Signal(s)
}

// Kill ends the process with SIGKILL and returns when it is gone. It does
// nothing when none runs.
func (b *Broker) Kill() error {
	if b.life == nil {
		return nil
	}
	err := b.life.cmd.Process.Kill()
	<-b.life.ended
	b.life = nil
	return err
}

// KillRefused is Kill for a process that may have ended by itself, as one that refuses does.
func (b *Broker) KillRefused() error {
	if err := b.Kill(); !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// Stop asks the process to end with SIGTERM. It is an error when it is not
// gone within the given time, or its exit code is not 0.
func (b *Broker) Stop(within time.Duration) error {
	if err := b.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	l := b.life
	patience := time.NewTimer(within)
	defer patience.Stop()
	select {
	case <-l.ended:
		b.life = nil
		if l.err != nil {
			return fmt.Errorf("broker was asked to stop: %w; its last words:\n%s", l.err, b.LastWords())
		}
		return nil
	case <-patience.C:
		return errors.Join(fmt.Errorf("broker was asked to stop and still runs after %v; its last words:\n%s", within, b.LastWords()), b.Kill())
	}
}

// Run runs another verb of the same binary to its end.
func (b *Broker) Run(ctx context.Context, args ...string) (out, log string, exit int, err error) {
	cmd := exec.CommandContext(ctx, b.Binary, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		err = nil
	}
	return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode(), err
}

// Log is what all lives of the process wrote to standard error.
func (b *Broker) Log() string { return b.log.String() }

// Said is what the last process wrote to it.
func (b *Broker) Said() string { return b.Log()[b.from:] }

// LastWords is the end of the log.
func (b *Broker) LastWords() string {
	lines := strings.Split(strings.TrimSpace(b.Log()), "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n")
}

// Errors are the lines of the log that should not be in one.
func (b *Broker) Errors() []string {
	var all []string
	for line := range strings.SplitSeq(b.Log(), "\n") {
		if strings.Contains(line, "level=error") || strings.Contains(line, "level=fatal") || strings.Contains(line, "panic") || strings.Contains(line, "goroutine ") {
			all = append(all, line)
		}
	}
	return all
}

// Panics are the lines of the log in which something impossible happened.
func (b *Broker) Panics() []string {
	var all []string
	for line := range strings.SplitSeq(b.Log(), "\n") {
		if strings.Contains(line, "panic") || strings.HasPrefix(line, "goroutine ") || strings.HasPrefix(line, "fatal error") {
			all = append(all, line)
		}
	}
	return all
}

// writer keeps what is written to it, and tells of its first line.
type writer struct {
	mu        sync.Mutex
	buf       bytes.Buffer
	firstLine chan struct{}
	at        time.Time // of the first line, valid once firstLine is closed
}

func (w *writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf.Write(p)
	if w.firstLine != nil && w.at.IsZero() && bytes.IndexByte(p, '\n') >= 0 {
		w.at = time.Now()
		close(w.firstLine)
	}
	return len(p), nil
}

// String is all that was written.
func (w *writer) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.String()
}
