package main

import (
	"fmt"
	"slices"
	"strings"
)

// measured is a whole run, as it is kept beside the report.
type measured struct {
	Machine  machine
	Versions map[string]string
	Reps     int
	Seconds  float64 // measured time of one repetition
	Cells    []cellResult
}

type cellResult struct {
	Cell     cell
	Outcomes []outcome
}

// figure is a median and its spread.
type figure struct{ mid, low, high float64 }

func figureOf(results []loadResult, of func(loadResult) float64) figure {
	var all []float64
	for _, x := range results {
		all = append(all, of(x))
	}
	if len(all) == 0 {
		return figure{}
	}
	return figure{median(all), slices.Min(all), slices.Max(all)}
}

func (f figure) show(digits int) string {
	return fmt.Sprintf("%.*f (%.*f–%.*f)", digits, f.mid, digits, f.low, digits, f.high)
}

func (o outcome) mb() figure { return figureOf(o.Results, loadResult.mb) }
func (o outcome) p50() figure {
	return figureOf(o.Results, func(x loadResult) float64 { return x.P50 })
}
func (o outcome) p99() figure {
	return figureOf(o.Results, func(x loadResult) float64 { return x.P99 })
}

// of is what a system did in a cell; empty when it was not measured.
func (m *measured) of(cell, system string) outcome {
	for _, c := range m.Cells {
		for _, o := range c.Outcomes {
			if c.Cell.Name == cell && o.System == system {
				return o
			}
		}
	}
	return outcome{}
}

// write is the page.
func (m *measured) write() string {
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	say("# Benchmarks\n")
	say("Troupe side by side with NATS JetStream and with plain files. `make peers` measures all of it anew and writes this page; nothing on it is edited by hand.\n")
	m.how(say)
	m.goals(say)
	say("\n![produce, acknowledged after an fsync](benchmarks/produce-d.svg) ![produce, acknowledged from the page cache](benchmarks/produce-p.svg) ![consume](benchmarks/consume.svg)")
	for _, class := range []class{classD, classP} {
		if class == classD {
			say("\n## Class D: acknowledged after an fsync")
		} else {
			say("\n## Class P: acknowledged from the page cache")
		}
		for _, c := range m.Cells {
			if c.Cell.Class == class {
				m.table(say, c, c.Cell.Drivers)
			}
		}
	}
	say("\n## Class P, run in turn with class D\n\nWhat a goal above compares with although it is of the other class.")
	for _, c := range m.Cells {
		if len(c.Cell.Beside) > 0 {
			m.table(say, c, c.Cell.Beside)
		}
	}
	return b.String()
}

func (m *measured) how(say func(string, ...any)) {
	x := m.Machine
	say("## How\n")
	say("* Machine: %d cores (%s), %s of memory, Linux %s, %s on a virtual disk, %s; %.1f %% of the time was stolen by the hypervisor. Server and load share the cores.", x.Cores, x.CPU, x.Memory, x.Kernel, x.Disk, x.Go, x.Steal*100)
	say("* One generator for all (`simulations/peers`): a process of its own that fills numbered records and hands them to a driver. Troupe: its Go client, ready batches; *troupe producer*: the client's Producer, record by record, on one connection; " +
		"*embedded*: a broker inside the load's process. NATS JetStream: the real server and nats.go, file storage, one stream a partition, asynchronous publish. Both have a connection a partition. Plain files: four files, each appended in steps of at most 512 KiB with an fdatasync after each (*1 plain file*: after each record), in room made ahead, by the process that makes the records.")
	say("* Versions: %s.", versions(m.Versions))
	say("* Systems in turn, A B A B, %d repetitions of %.0f s each after a warm-up of a fifth, each in a fresh directory, `sync` between. Figures are medians, with the smallest and the largest in brackets. MB = 10⁶ bytes of records' values.", m.Reps, m.Seconds)
	say("* Class D answers after an fsync: Troupe's default, NATS with `sync_interval: always`. Class P answers from the page cache: Troupe with `durability=os`, NATS' default. They are never in one table. At the end of each cell of class D the server is killed with -9 under load, started again, and asked for every record that it acknowledged.")
	say("* Before each repetition the page cache is filled with a file of holes, as on any machine that has served for a day: otherwise whoever writes pays for memory that the hypervisor has still to find, 1.5 CPU seconds a GB here. `produce-D-cold` is one cell without that.")
	say("* Latencies are of batches, from the moment a batch was due: in the closed loop that is when it could leave, at half load when the clock says so, whether or not it could leave.")
}

func versions(all map[string]string) string {
	var list []string
	for name, v := range all {
		list = append(list, name+" "+v)
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

func (m *measured) table(say func(string, ...any), c cellResult, systems []string) {
	say("\n### %s\n\n%s.\n", c.Cell.Name, c.Cell.Says)
	if c.Cell.Shape.Rate > 0 {
		say("%.0f records a second.\n", c.Cell.Shape.Rate)
	}
	say("| system | MB/s | thousand records/s | p50 ms | p99 ms | p99.9 ms | server, load: CPU s per million records | server: peak MB, B allocated per record | KiB per fsync | kill -9: acknowledged, missing |")
	say("|---|---|---|---|---|---|---|---|---|---|")
	for _, o := range c.Outcomes {
		if slices.Contains(systems, o.System) && len(o.Results) > 0 {
			say("| %s |", strings.Join(o.row(c.Cell), " | "))
		}
	}
}

func (o outcome) row(c cell) []string {
	perRecord := func(of func(loadResult) float64) float64 {
		return figureOf(o.Results, func(x loadResult) float64 { return of(x) / float64(x.Records) }).mid
	}
	row := []string{o.System, o.mb().show(1), figureOf(o.Results, func(x loadResult) float64 { return float64(x.Records) / x.Elapsed.Seconds() / 1e3 }).show(1)}
	if c.Shape.Verb == "consume" {
		row = append(row, "", "", "")
	} else {
		row = append(row, o.p50().show(2), o.p99().show(2), figureOf(o.Results, func(x loadResult) float64 { return x.P999 }).show(2))
	}
	load := perRecord(func(x loadResult) float64 { return x.LoadCPU.Seconds() }) * 1e6
	memory, fsync, kill := "", "", ""
	cpu := fmt.Sprintf("%.2f", load)
	if hasServer(o.System) {
		cpu = fmt.Sprintf("%.2f, %.2f", perRecord(func(x loadResult) float64 { return x.ServerCPU.Seconds() })*1e6, load)
		memory = fmt.Sprintf("%.0f", figureOf(o.Results, func(x loadResult) float64 { return float64(x.ServerRSS) / 1e6 }).mid)
	}
	if o.Results[0].Counted.AllocBytes > 0 {
		memory += fmt.Sprintf(", %.1f", perRecord(func(x loadResult) float64 { return x.Counted.AllocBytes }))
	}
	if o.Results[0].Counted.Fsyncs > 0 && c.Shape.Verb == "produce" && c.Class == classD {
		fsync = fmt.Sprintf("%.1f", figureOf(o.Results, func(x loadResult) float64 { return x.Counted.FsyncBytes / x.Counted.Fsyncs / 1024 }).mid)
	}
	if o.Counted {
		kill = fmt.Sprintf("%d, **%d**", o.Acknowledged, o.Missing)
	}
	return append(row, cpu, memory, fsync, kill)
}
