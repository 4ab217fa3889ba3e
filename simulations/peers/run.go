package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// runner runs cells, each system in turn, as often as asked.
type runner struct {
	bin  binaries
	dir  string
	self string
	reps int
	warm *ballast // nil = the page cache is left as it is
	say  func(format string, args ...any)
}

// outcome is what one system did in one cell.
type outcome struct {
	System  string
	Results []loadResult
	// Counted is whether it was killed and asked; Acknowledged and Missing are
	// records, of the last repetition.
	Counted      bool
	Acknowledged int
	Missing      int
}

// run runs a cell: A B C A B C …, and the kill in the last round of class D.
func (r *runner) run(ctx context.Context, c cell) ([]outcome, error) {
	if c.Shape.Verb == "consume" {
		return r.runConsume(ctx, c)
	}
	systems := append(append([]string(nil), c.Drivers...), c.Beside...)
	outcomes := make([]outcome, len(systems))
	for rep := range r.reps {
		for i, system := range systems {
			last := rep == r.reps-1 && c.Class == classD && i < len(c.Drivers)
			outcomes[i].System = system
			if err := r.once(ctx, c, system, last, &outcomes[i]); err != nil {
				return nil, fmt.Errorf("%s, %s: %w", c.Name, system, err)
			}
			x := outcomes[i].Results[rep]
			r.say("%-16s %-20s %d/%d  %8.1f MB/s  p50 %8.3f ms  p99 %8.3f ms  server %6.2f load %6.2f CPU s/GB", c.Name, system, rep+1, r.reps,
				x.mb(), x.P50, x.P99, x.ServerCPU.Seconds()/x.gb(), x.LoadCPU.Seconds()/x.gb())
		}
	}
	return outcomes, nil
}

func (x loadResult) mb() float64 { return float64(x.Bytes) / 1e6 / x.Elapsed.Seconds() }
func (x loadResult) gb() float64 { return float64(x.Bytes) / 1e9 }

// once is one repetition of one system, in a fresh directory that goes with it.
func (r *runner) once(ctx context.Context, c cell, system string, kill bool, o *outcome) (err error) {
	dir, err := os.MkdirTemp(r.dir, "run-")
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, os.RemoveAll(dir))
		syscall.Sync() // what this one wrote is not the next one's to pay
	}()
	memory := r.warm.fill
	if c.Cold {
		memory = r.warm.empty
	}
	if err := memory(); err != nil {
		return err
	}
	job := loadJob{System: system, Opened: opened{Dir: filepath.Join(dir, "data"), Shape: c.Shape}, Ledger: filepath.Join(ledgerDir(dir), filepath.Base(dir)+".ledger")}
	defer os.Remove(job.Ledger)
	var s *server
	if hasServer(system) {
		if s, err = r.serve(ctx, &job); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.kill()) }()
	} else if err := os.MkdirAll(job.Opened.Dir, 0o750); err != nil {
		return err
	}
	l, err := r.begin(job)
	if err != nil {
		return err
	}
	result, err := l.line()
	if err != nil {
		return errors.Join(err, l.end())
	}
	o.Results = append(o.Results, result)
	if !kill {
		return l.end()
	}
	victim := l.cmd.Process.Kill
	if s != nil {
		victim = s.kill
	}
	if err := victim(); err != nil {
		return err
	}
	_ = l.end() // it says that it was killed, or that its server was
	o.Counted = true
	o.Acknowledged, o.Missing, err = r.count(ctx, job, s)
	return err
}

// ledgerDir is in memory where it can be, for the ledger is not to be measured.
func ledgerDir(otherwise string) string {
	if _, err := os.Stat("/dev/shm"); err == nil {
		return "/dev/shm"
	}
	return otherwise
}

// serve starts a server for job and makes its topic.
func (r *runner) serve(ctx context.Context, job *loadJob) (*server, error) {
	s, err := newServer(job.System, job.Opened.Dir)
	if err != nil {
		return nil, err
	}
	if err := s.start(ctx, r.bin); err != nil {
		return nil, err
	}
	job.Opened.Address, job.Broker, job.Metrics = s.address, s.pid(), s.metrics()
	if !strings.HasPrefix(job.System, "nats") {
		if err := createTopic(ctx, s.address, job.Opened.Shape, job.System == troupeP); err != nil {
			return nil, errors.Join(err, s.kill())
		}
	}
	return s, nil
}

// running is a load process.
type running struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *json.Decoder
	stderr bytes.Buffer
}

func (r *runner) begin(job loadJob) (*running, error) {
	text, err := json.Marshal(job)
	if err != nil {
		return nil, err
	}
	l := &running{cmd: exec.Command(r.self, "load", string(text))}
	l.cmd.Stderr = &l.stderr
	l.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if l.stdin, err = l.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := l.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	l.stdout = json.NewDecoder(out)
	return l, l.cmd.Start()
}

func (l *running) line() (x loadResult, err error) {
	if err := l.stdout.Decode(&x); err != nil {
		return x, fmt.Errorf("the load ended early: %w: %s", err, l.stderr.String())
	}
	return x, nil
}

func (l *running) end() error {
	_ = l.stdin.Close()
	if err := l.cmd.Wait(); err != nil {
		return fmt.Errorf("load: %w: %s", err, l.stderr.String())
	}
	return nil
}

// count starts the killed system again and looks for what it acknowledged.
func (r *runner) count(ctx context.Context, job loadJob, s *server) (acknowledged, missing int, err error) {
	ledger, err := openLedger(job.Ledger, job.Opened.Shape.Partitions)
	if err != nil {
		return 0, 0, err
	}
	defer ledger.close()
	census := ledger.census(job.Opened.Shape.Batch)
	if strings.Contains(job.System, "plain") {
		if err := readPlain(job.Opened.Dir, job.Opened.Shape.RecordSize, census.see); err != nil {
			return 0, 0, err
		}
		acknowledged, missing = census.result()
		return acknowledged, missing, nil
	}
	if s != nil {
		if err := s.start(ctx, r.bin); err != nil {
			return 0, 0, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	d, err := open(ctx, job.System, job.Opened)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	for p := range job.Opened.Shape.Partitions {
		if err := d.read(ctx, p, func(record []byte) (bool, error) { return true, census.see(record) }); err != nil {
			return 0, 0, fmt.Errorf("read partition %d after the kill: %w", p, err)
		}
	}
	acknowledged, missing = census.result()
	return acknowledged, missing, nil
}

// runConsume fills a backlog for each system once and reads it in turn.
func (r *runner) runConsume(ctx context.Context, c cell) (outcomes []outcome, err error) {
	var jobs []loadJob
	for _, system := range c.Drivers {
		dir, err := os.MkdirTemp(r.dir, "run-")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		job := loadJob{System: system, Opened: opened{Dir: filepath.Join(dir, "data"), Shape: c.Shape}, Ledger: filepath.Join(ledgerDir(dir), filepath.Base(dir)+".ledger")}
		defer os.Remove(job.Ledger)
		s, err := r.serve(ctx, &job)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, s.kill()) }()
		fill := job
		fill.Opened.Shape.Verb = "fill"
		l, err := r.begin(fill)
		if err != nil {
			return nil, err
		}
		if err := l.end(); err != nil {
			return nil, fmt.Errorf("fill %s: %w", system, err)
		}
		jobs = append(jobs, job)
		outcomes = append(outcomes, outcome{System: system})
	}
	syscall.Sync()
	for rep := range r.reps {
		for i, job := range jobs {
			l, err := r.begin(job)
			if err != nil {
				return nil, err
			}
			x, err := l.line()
			if err = errors.Join(err, l.end()); err != nil {
				return nil, fmt.Errorf("%s, %s: %w", c.Name, job.System, err)
			}
			outcomes[i].Results = append(outcomes[i].Results, x)
			r.say("%-16s %-20s %d/%d  %8.1f MB/s  server %6.2f load %6.2f CPU s/GB", c.Name, job.System, rep+1, r.reps, x.mb(),
				x.ServerCPU.Seconds()/x.gb(), x.LoadCPU.Seconds()/x.gb())
		}
	}
	return outcomes, nil
}
