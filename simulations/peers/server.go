package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// server is a system's process over many lives, on one directory and address.
type server struct {
	system  string
	dir     string
	address string
	http    string
	cmd     *exec.Cmd
	log     *os.File
}

// binaries are what is run; built once.
type binaries struct{ troupe, nats string }

// build builds both in their own modules, from the directory of this one.
func build(ctx context.Context, dir string) (b binaries, err error) {
	b = binaries{filepath.Join(dir, "troupe"), filepath.Join(dir, "nats-server")}
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/troupe-mq/troupe").Output()
	if err != nil {
		return b, fmt.Errorf("find Troupe's module (run this in simulations/peers): %w", err)
	}
	for _, one := range []struct{ in, out, pkg string }{
		{strings.TrimSpace(string(root)), b.troupe, "./cmd/troupe"},
		{".", b.nats, "github.com/nats-io/nats-server/v2"},
	} {
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", one.out, one.pkg)
		cmd.Dir = one.in
		if out, err := cmd.CombinedOutput(); err != nil {
			return b, fmt.Errorf("build %s: %w\n%s", one.pkg, err, out)
		}
	}
	return b, nil
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}

// newServer prepares a server; nothing runs yet.
func newServer(system, dir string) (s *server, err error) {
	s = &server{system: system, dir: dir}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	if s.address, err = freeAddress(); err != nil {
		return nil, err
	}
	if s.http, err = freeAddress(); err != nil {
		return nil, err
	}
	s.log, err = os.Create(filepath.Join(dir, "..", filepath.Base(dir)+".log"))
	return s, err
}

// start runs the process and waits until it takes connections.
func (s *server) start(ctx context.Context, b binaries) error {
	switch s.system {
	case natsD, natsP:
		config, err := s.natsConfig()
		if err != nil {
			return err
		}
		s.cmd = exec.Command(b.nats, "-c", config)
	default:
		s.cmd = exec.Command(b.troupe, "serve", "--data", s.dir, "--node", "peers", "--listen", s.address, "--http", s.http)
	}
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", s.system, err)
	}
	for until := time.Now().Add(time.Minute); time.Now().Before(until) && ctx.Err() == nil; time.Sleep(5 * time.Millisecond) {
		if c, err := net.Dial("tcp", s.address); err == nil {
			return c.Close()
		}
	}
	return errors.Join(fmt.Errorf("%s does not take connections on %s", s.system, s.address), s.kill())
}

// natsConfig writes the settings: what is not named is NATS' default.
func (s *server) natsConfig() (string, error) {
	always := ""
	if s.system == natsD {
		always = "  sync_interval: always\n"
	}
	name := s.dir + ".conf"
	text := fmt.Sprintf("listen: %q\njetstream {\n  store_dir: %q\n%s}\n", s.address, s.dir, always)
	return name, os.WriteFile(name, []byte(text), 0o640)
}

// kill is kill -9, and waits until the process is gone.
func (s *server) kill() error {
	if s.cmd == nil {
		return nil
	}
	err := s.cmd.Process.Kill()
	_ = s.cmd.Wait() // it says that it was killed
	s.cmd = nil
	return err
}

func (s *server) pid() int {
	if s.cmd == nil {
		return 0
	}
	return s.cmd.Process.Pid
}

// metrics is where the server tells of itself.
func (s *server) metrics() string {
	if s.system == natsD || s.system == natsP {
		return ""
	}
	return "http://" + s.http + "/metrics"
}
