package chaos

import (
	"bufio"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// traced has strace inject something into calls of a broker's process, for so
// long. That the process goes on or ends meanwhile is for it to say.
func (p *play) traced(ctx context.Context, b *Broker, calls, inject string, for_ time.Duration) error {
	tool, err := exec.LookPath("strace")
	if err != nil {
		return fmt.Errorf("%w: strace, which injects faults into system calls: %w", errNoTool, err)
	}
	cmd := exec.Command(tool, "-f", "-o", "/dev/null", "-e", "trace="+calls, "-e", "inject="+calls+":"+inject, "-p", fmt.Sprint(b.PID()))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	said, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start strace: %w", err)
	}
	lines := bufio.NewScanner(said)
	attached, last := false, ""
	for !attached && lines.Scan() {
		last = lines.Text()
		attached = strings.Contains(last, "attached")
	}
	if !attached {
		_ = cmd.Wait()
		return fmt.Errorf("%w: strace may not trace here: %s", errNoTool, last)
	}
	go func() {
		for lines.Scan() { // else it would wait for a reader
		}
	}()
	_ = wait(ctx, for_)
	_ = cmd.Process.Signal(syscall.SIGTERM) // it lets go of the process
	_ = cmd.Wait()
	return nil
}
