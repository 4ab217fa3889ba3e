package world

import "fmt"

// debts are the answers that brokers owe: to each call one, as long as the
// process lives that was called. A client may have given up long before.
type debts struct {
	c    *Cluster
	made int
	open []*debt // oldest first
}

type debt struct {
	node *Node
	life *Life
	what string
	paid bool
}

// owe notes a call. paid is to be called with its answer: it is false when the
// process is dead, so that nobody hears of it.
func (d *debts) owe(n *Node, what string) (paid func() bool) {
	life := n.Life
	one := &debt{node: n, life: life, what: what}
	d.made++
	d.open = append(d.open, one)
	return func() bool {
		if one.paid {
			d.c.fail(fmt.Errorf("%s: %s was answered twice", life.name, what))
		}
		one.paid = true
		return !life.dead
	}
}

// left is one of the answers that are owed still; "" when there is none.
func (d *debts) left() string {
	var open []*debt
	for _, one := range d.open {
		ended := one.life.dead || one.life == one.node.Life && one.node.failure != nil // a broker that does not start ends
		if !one.paid && !ended {
			open = append(open, one)
		}
	}
	if d.open = open; len(open) > 0 {
		return fmt.Sprintf("%d calls have no answer, the first is to %s: %s", len(open), open[0].life.name, open[0].what)
	}
	return ""
}
