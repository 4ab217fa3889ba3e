package world

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/troupe-mq/troupe/codec"
)

// Columns writes a trace for people: a column a node, and one for what is done
// to them. It leaves out what happens all the time: ticks, flushes, the disk's
// calls. Close writes what is left.
type Columns struct {
	out   *bufio.Writer
	nodes []string
	all   bool
	part  []byte // of a line
}

// columnWidth is how wide a column of the trace is.
const columnWidth = 34

// NewColumns makes one for some nodes; all leaves nothing out.
func NewColumns(out io.Writer, nodes []codec.NodeID, all bool) *Columns {
	c := &Columns{out: bufio.NewWriter(out), all: all}
	head := []string{"time"}
	for _, n := range nodes {
		c.nodes = append(c.nodes, string(n))
		head = append(head, string(n))
	}
	fmt.Fprintf(c.out, "%-13s", head[0])
	for _, n := range append(head[1:], "the world") {
		fmt.Fprintf(c.out, " %-*s", columnWidth, n)
	}
	fmt.Fprintln(c.out)
	return c
}

// Write takes lines as TraceTo writes them.
func (c *Columns) Write(p []byte) (int, error) {
	n := len(p)
	for {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			c.part = append(c.part, p...)
			return n, nil
		}
		if err := c.line(string(append(c.part, p[:i]...))); err != nil {
			return 0, err
		}
		c.part, p = c.part[:0], p[i+1:]
	}
}

// line places one line: time, who, what, digest.
func (c *Columns) line(line string) error {
	words := strings.SplitN(line, " ", 3)
	if len(words) < 3 {
		return nil
	}
	at, who, what := words[0], words[1], words[2]
	if i := strings.LastIndexByte(what, ' '); i >= 0 {
		what = what[:i] // without the digest
	}
	column := len(c.nodes)
	for i, n := range c.nodes {
		if rest, ok := strings.CutPrefix(who, n); ok && (rest == "" || rest[0] == '.' || rest[0] == '/') {
			column = i
			if _, actor, found := strings.Cut(rest, "/"); found {
				what = actor + " " + what
			}
		}
	}
	if column == len(c.nodes) {
		what = who + " " + what
	}
	if !c.all && dull(what) {
		return nil
	}
	_, err := fmt.Fprintf(c.out, "%-13s%s%s\n", at[:min(len(at), 12)], strings.Repeat(" ", column*(columnWidth+1)+1), shorten(what))
	return err
}

// dull says whether something happens too often to be read.
func dull(what string) bool {
	if what[0] >= '0' && what[0] <= '9' {
		return !strings.Contains(what, " by ") // a call of the disk, short of one that was made to fail
	}
	if strings.Contains(what, "Heartbeat") {
		return true
	}
	for _, word := range []string{"timer ", "tick", "flush", "housework", "beat", "measured", "stepDone", "/job", "persisted", "Disk", " read ", " write ", " sync ", " open ", " close ", " size ", " allocate ", "ticking", "heard", "await", "forget"} {
		if strings.Contains(what, word) {
			return true
		}
	}
	return false
}

// shorten takes out what is the same in every line.
func shorten(what string) string {
	what = strings.NewReplacer("broker/", "", "*actors.", "", "actors.", "", "*actor.", "").Replace(what)
	return what
}

// Close writes out what is kept.
func (c *Columns) Close() error { return c.out.Flush() }
