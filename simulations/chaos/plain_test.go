package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// plainEnv, when set, makes the test binary the plain program that the broker
// is compared with.
const plainEnv = "TROUPE_CHAOS_PLAIN"

const plainFiles, plainStep = 4, 512 << 10

// plainJob is what the plain program is told, plainResult what it answers.
type plainJob struct {
	Dir   string
	Bytes int64 // of all files together
}

type plainResult struct {
	Bytes   int64
	Elapsed time.Duration
	CPU     time.Duration
}

// plainMain says whether this process was run as the plain program.
func plainMain() bool {
	text := os.Getenv(plainEnv)
	if text == "" {
		return false
	}
	var job plainJob
	err := json.Unmarshal([]byte(text), &job)
	if err == nil {
		var r plainResult
		if r, err = appendPlainly(job); err == nil {
			err = json.NewEncoder(os.Stdout).Encode(r)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "plain:", err)
		os.Exit(1)
	}
	return true
}

// appendPlainly appends to four files in four goroutines, in steps of 512 KiB
// with an fdatasync after each: what a disk gives to whoever asks for no more.
func appendPlainly(job plainJob) (r plainResult, err error) {
	p := make([]byte, plainStep)
	for i := range p {
		p[i] = byte(i * 7)
	}
	begun := time.Now()
	errs := make([]error, plainFiles)
	var running sync.WaitGroup
	for i := range plainFiles {
		running.Go(func() {
			errs[i] = appendFile(filepath.Join(job.Dir, fmt.Sprint("plain-", i)), p, job.Bytes/plainFiles)
		})
	}
	running.Wait()
	r.Elapsed = time.Since(begun)
	r.Bytes = job.Bytes / plainFiles / plainStep * plainStep * plainFiles
	r.CPU = ownCPU()
	return r, errors.Join(errs...)
}

func appendFile(name string, p []byte, bytes int64) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for range bytes / int64(len(p)) {
		if _, err := f.Write(p); err != nil {
			return err
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			return err
		}
	}
	return nil
}

func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic("chaos: getrusage: " + err.Error())
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// runPlain runs the plain program in a process of its own.
func runPlain(ctx context.Context, job plainJob) (r plainResult, err error) {
	text, err := json.Marshal(job)
	if err != nil {
		return r, err
	}
	self, err := os.Executable()
	if err != nil {
		return r, err
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), plainEnv+"="+string(text))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(out, &r)
}

func TestThePlainProgram(t *testing.T) {
	dir := t.TempDir()
	r, err := runPlain(t.Context(), plainJob{dir, 8 << 20})
	require.NoError(t, err)
	require.Equal(t, int64(8<<20), r.Bytes)
	require.Positive(t, r.Elapsed)
	for i := range plainFiles {
		info, err := os.Stat(filepath.Join(dir, fmt.Sprint("plain-", i)))
		require.NoError(t, err)
		require.Equal(t, int64(2<<20), info.Size())
	}
}
