package gateway

import "github.com/troupe-mq/troupe/codec"

// purpose is what a client wants of a partition.
type purpose bool

const (
	read purpose = false // any replica will do
	led  purpose = true  // the leader is to see to it
)

// partition looks a partition up for a client. One that finds leaders itself is sent
// there, where another broker would have to be asked.
func (c *conn) partition(tp codec.TopicPartition, p purpose) (Partition, error) {
	to, err := c.server.broker.Partition(tp)
	if d, ok := to.(Distant); err == nil && c.redirect && ok && (p == led || d.Afar()) {
		if err = d.Elsewhere(); err != nil {
			return nil, err
		}
	}
	return to, err
}

// isRemote says whether reading waits for another broker.
func isRemote(p Partition) bool {
	d, ok := p.(Distant)
	return ok && d.Afar()
}

// cut is why nothing new comes to a reader at the end of a partition.
func cut(p Partition) error {
	if d, ok := p.(Distant); ok {
		return d.Cut()
	}
	return nil
}
