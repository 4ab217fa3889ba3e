package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// siegeEnv, when set, makes the test binary a crowd of hostile clients.
const siegeEnv = "TROUPE_CHAOS_SIEGE"

// siegeJob is what the crowd is told.
type siegeJob struct {
	Address string
	Clients int           // at a time
	Breath  time.Duration // between one's going and the next one's coming
	Nice    int           // the kernel gives it the cores that nobody else wants
	Burn    int           // instead of all that: so many goroutines that talk to nobody and only burn CPU
}

// sieged is what it did.
type sieged struct {
	Visits int64
	CPU    time.Duration
	Lasted time.Duration
}

// siegeMain says whether this process was run as the crowd, which stays until
// its standard input is closed.
func siegeMain() bool {
	text := os.Getenv(siegeEnv)
	if text == "" {
		return false
	}
	var job siegeJob
	err := json.Unmarshal([]byte(text), &job)
	if err == nil && job.Nice != 0 {
		err = job.becomeNice()
	}
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(job.lay())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "siege:", err)
		os.Exit(1)
	}
	return true
}

// becomeNice runs the process anew at its niceness, which is a thread's own on
// Linux: it survives an exec, and those that come later inherit it.
func (j siegeJob) becomeNice() error {
	runtime.LockOSThread()
	if err := syscall.Setpriority(syscall.PRIO_PROCESS, 0, j.Nice); err != nil {
		return err
	}
	j.Nice = 0
	text, err := json.Marshal(j)
	if err != nil {
		return err
	}
	if err := os.Setenv(siegeEnv, string(text)); err != nil {
		return err
	}
	return syscall.Exec("/proc/self/exe", os.Args, os.Environ())
}

// lay has clients come, each kind in its turn, and says on standard output
// when each has been there once.
func (j siegeJob) lay() (r sieged) {
	var all sync.WaitGroup
	var paid atomic.Int64
	done, begun := make(chan struct{}), time.Now()
	for range j.Burn {
		all.Go(func() { burn(done) })
	}
	if j.Burn > 0 {
		fmt.Println("here")
	}
	for i := range j.Clients {
		all.Go(func() {
			for n := i; ; n++ {
				visits[n%len(visits)].pay(j.Address, n/len(visits)%2 == 0)
				if paid.Add(1) == int64(len(visits)) {
					fmt.Println("here")
				}
				select {
				case <-done:
					return
				case <-time.After(j.Breath):
				}
			}
		})
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	close(done)
	all.Wait()
	return sieged{Visits: paid.Load(), CPU: ownCPU(), Lasted: time.Since(begun)}
}

// burn keeps a core busy.
func burn(done chan struct{}) {
	for p := make([]byte, 64<<10); ; {
		select {
		case <-done:
			return
		default:
			p[0] = byte(crc32.ChecksumIEEE(p))
		}
	}
}

// besiege runs the crowd in a process of its own and returns when it is
// there; stop ends it.
func besiege(ctx context.Context, job siegeJob) (stop func() (sieged, error), err error) {
	text, err := json.Marshal(job)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), siegeEnv+"="+string(text))
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	here := make([]byte, len("here\n"))
	if _, err := io.ReadFull(out, here); err != nil {
		return nil, errors.Join(fmt.Errorf("hostile clients did not come: %w", err), cmd.Process.Kill(), cmd.Wait())
	}
	return func() (r sieged, err error) {
		if err := in.Close(); err != nil {
			return r, err
		}
		text, err := io.ReadAll(out)
		if err == nil {
			err = cmd.Wait()
		}
		if err == nil {
			err = json.Unmarshal(text, &r)
		}
		return r, err
	}, nil
}
