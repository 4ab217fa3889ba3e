package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if len(os.Args) == 3 && os.Args[1] == "load" {
		var job loadJob
		if err := json.Unmarshal([]byte(os.Args[2]), &job); err != nil {
			return err
		}
		if name := os.Getenv("PEERS_LOAD_PROFILE"); name != "" {
			f, err := os.Create(name)
			if err != nil {
				return err
			}
			defer f.Close()
			if err := pprof.StartCPUProfile(f); err != nil {
				return err
			}
			defer pprof.StopCPUProfile()
		}
		return load(ctx, job)
	}
	page := flag.Bool("page", false, "write docs/BENCHMARKS.md again from docs/benchmarks/results.json, measuring nothing")
	only := flag.String("cells", "", "run only the cells whose name matches this `regexp`, and print only")
	keep := flag.Bool("keep", false, "with -cells: write the page with these cells measured anew, and the others as they were")
	systems := flag.String("systems", "", "run only the systems whose name matches this `regexp`")
	reps := flag.Int("reps", 5, "repetitions of each system in each cell")
	during := flag.Duration("during", 5*time.Second, "measured time of one repetition")
	dir := flag.String("dir", "", "directory for data, on the disk to be measured (a temporary one by default)")
	cold := flag.Bool("cold", false, "leave the page cache as it is (see ballast.go)")
	flag.Parse()
	if *page {
		return again(filepath.Join("..", "..", "docs"))
	}

	work, err := os.MkdirTemp(*dir, "troupe-peers-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	self, err := os.Executable()
	if err != nil {
		return err
	}
	r := &runner{dir: work, self: self, reps: *reps, say: func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }}
	if r.bin, err = build(ctx, work); err != nil {
		return err
	}
	if !*cold {
		if r.warm, err = newBallast(work); err != nil {
			return err
		}
		defer r.warm.close()
	}
	m, err := r.measure(ctx, *only, *systems, *during)
	if err != nil {
		return err
	}
	docs := filepath.Join("..", "..", "docs")
	switch {
	case *keep:
		if err := m.join(docs); err != nil {
			return err
		}
	case *only != "" || *systems != "":
		fmt.Print(m.write())
		return nil
	}
	return m.save(docs)
}

// join takes in the cells of an earlier run that this one did not measure.
func (m *measured) join(docs string) error {
	raw, err := os.ReadFile(filepath.Join(docs, "benchmarks", "results.json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var was measured
	if err := json.Unmarshal(raw, &was); err != nil {
		return err
	}
	if was.Reps != m.Reps || was.Seconds != m.Seconds {
		return fmt.Errorf("the earlier run had %d repetitions of %v s, this one %d of %v s", was.Reps, was.Seconds, m.Reps, m.Seconds)
	}
	m.Machine.Steal = max(m.Machine.Steal, was.Machine.Steal)
	mine := m.Cells
	m.Cells = nil
	for _, c := range cells(time.Second) { // in their order
		for _, list := range [][]cellResult{mine, was.Cells} {
			if i := slices.IndexFunc(list, func(r cellResult) bool { return r.Cell.Name == c.Name }); i >= 0 {
				m.Cells = append(m.Cells, list[i])
				break
			}
		}
	}
	return nil
}

// measure runs the cells that match.
func (r *runner) measure(ctx context.Context, only, systems string, during time.Duration) (*measured, error) {
	match, err := regexp.Compile(only)
	if err != nil {
		return nil, err
	}
	who, err := regexp.Compile(systems)
	if err != nil {
		return nil, err
	}
	m := &measured{Machine: thisMachine(r.dir), Versions: dependencies(), Reps: r.reps, Seconds: during.Seconds()}
	all, steal := ticks()
	for _, c := range cells(during) {
		c.Drivers, c.Beside = matching(who, c.Drivers), matching(who, c.Beside)
		if !match.MatchString(c.Name) || len(c.Drivers)+len(c.Beside) == 0 {
			continue
		}
		if c.HalfOf != "" {
			c.Shape.Rate = recordsPerSecond(m.of(c.HalfOf, c.Drivers[0])) / 2
		}
		outcomes, err := r.run(ctx, c)
		if err != nil {
			return nil, err
		}
		m.Cells = append(m.Cells, cellResult{c, outcomes})
		for _, o := range outcomes {
			if o.Counted {
				r.say("%-16s %-20s killed: %d records acknowledged, %d missing", c.Name, o.System, o.Acknowledged, o.Missing)
			}
		}
	}
	allNow, stealNow := ticks()
	m.Machine.Steal = (stealNow - steal) / (allNow - all)
	return m, nil
}

// save writes the page, its plots and what they were made from.
func (m *measured) save(docs string) error {
	dir := filepath.Join(docs, "benchmarks")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	raw, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "results.json"), append(raw, '\n'), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(docs, "BENCHMARKS.md"), []byte(m.write()), 0o644); err != nil {
		return err
	}
	return m.draw(dir)
}

// again writes the page from what an earlier run kept.
func again(docs string) error {
	raw, err := os.ReadFile(filepath.Join(docs, "benchmarks", "results.json"))
	if err != nil {
		return err
	}
	var m measured
	if err := json.Unmarshal(raw, &m); err != nil {
		return err
	}
	return m.save(docs)
}

// dependencies are the versions of what is measured.
func dependencies() map[string]string {
	out := map[string]string{}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return out
	}
	for _, d := range info.Deps {
		if d.Path == "github.com/nats-io/nats.go" {
			out["nats.go"] = d.Version
		}
	}
	if v, err := exec.Command("go", "list", "-m", "-f", "{{.Version}}", "github.com/nats-io/nats-server/v2").Output(); err == nil {
		out["nats-server"] = strings.TrimSpace(string(v))
	}
	return out
}

func matching(who *regexp.Regexp, systems []string) (out []string) {
	for _, s := range systems {
		if who.MatchString(s) {
			out = append(out, s)
		}
	}
	return out
}

func recordsPerSecond(o outcome) float64 {
	return figureOf(o.Results, func(x loadResult) float64 { return float64(x.Records) / x.Elapsed.Seconds() }).mid
}
