// Command service is a Go service in a process of its own: it attaches its actor system to
// brokers, and its actor reads the records of one topic as they come and stores one for
// each of them in another.
//
//	service --brokers 127.0.0.1:9651 --from bookings --to invoices
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/cluster/trust"
	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/service"
)

func main() {
	brokers := flag.String("brokers", "127.0.0.1:9651", "links of brokers, with commas between them")
	from, to := flag.String("from", "bookings", "topic to read"), flag.String("to", "invoices", "topic to write")
	count := flag.Int("count", 100, "ends after so many")
	var files trust.Files
	flag.StringVar(&files.Cert, "tls-cert", "", "certificate, see troupe certs client NAME --service")
	flag.StringVar(&files.Key, "tls-key", "", "its private key")
	flag.StringVar(&files.CA, "tls-ca", "", "authority of the brokers")
	flag.Parse()
	config := service.Config{Name: "billing", Brokers: strings.Split(*brokers, ",")}
	if files.Cert != "" {
		credentials, err := trust.Load(files, nil)
		if err != nil {
			fatal(err)
		}
		config.TLS = credentials
	}

	// One call attaches the actor system of this program.
	system := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))
	attached, err := service.Attach(context.Background(), system, config)
	if err != nil {
		fatal(err)
	}
	done := make(chan error)
	system.Root.Spawn(actor.PropsFromProducer(func() actor.Actor {
		return &biller{
			bookings: attached.Partition(codec.Topic(*from), 0), invoices: attached.Partition(codec.Topic(*to), 0),
			most: *count, done: done,
		}
	}))
	if err := <-done; err != nil {
		fatal(err)
	}
	attached.Close()
	fmt.Println(*count, "invoices stored")
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "service:", err)
	os.Exit(1)
}

// biller reads bookings and stores an invoice for each, a batch of them at a time.
type biller struct {
	bookings, invoices *actor.PID
	most               int
	done               chan<- error

	id    int64        // of this producer: a batch that is sent twice is stored once
	next  codec.Offset // of the bookings
	count int
	batch codec.Batch // that is being stored
}

// again is a message to be sent once more, after a pause.
type again struct {
	to      *actor.PID
	message any
}

// Receive implements actor.Actor.
func (b *biller) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		c.Request(b.bookings, &codec.AskProducer{})
	case *codec.ProducerID:
		if b.good(c, m.Err, b.bookings, &codec.AskProducer{}) {
			b.id = m.ID
			b.read(c)
		}
	case *codec.Batches:
		switch {
		case !b.good(c, m.Err, b.bookings, &codec.Read{Offset: b.next}):
		case len(m.Batches) == 0: // the end of the log
			c.Request(b.bookings, &codec.Await{Offset: b.next, Within: 30 * time.Second})
		default:
			b.store(c, m.Batches)
		}
	case *codec.Bounds:
		if b.good(c, m.Err, b.bookings, &codec.Await{Offset: b.next, Within: 30 * time.Second}) {
			b.read(c)
		}
	case *codec.Stored:
		// Unknown: it may be stored or not. The same batch again is stored once.
		if codec.CodeOf(m.Err) == codec.Unknown {
			b.later(c, b.invoices, &codec.Store{Batch: b.batch})
		} else if b.good(c, m.Err, b.invoices, &codec.Store{Batch: b.batch}) {
			b.count += int(b.batch.Count())
			b.read(c)
		}
	case *again:
		c.Request(m.to, m.message)
	}
}

// good says whether there was no trouble. What may go well later is sent again then.
func (b *biller) good(c actor.Context, err error, to *actor.PID, message any) bool {
	switch {
	case err == nil:
		return true
	case codec.CodeOf(err).Retriable():
		b.later(c, to, message)
	default:
		b.done <- err
	}
	return false
}

func (b *biller) later(c actor.Context, to *actor.PID, message any) {
	self, root := c.Self(), c.ActorSystem().Root
	time.AfterFunc(100*time.Millisecond, func() { root.Send(self, &again{to, message}) })
}

func (b *biller) read(c actor.Context) {
	if b.count >= b.most {
		b.done <- nil
		return
	}
	c.Request(b.bookings, &codec.Read{Offset: b.next})
}

// store makes the invoices of some bookings.
func (b *biller) store(c actor.Context, batches []byte) {
	var invoices codec.Builder
	for len(batches) > 0 {
		one := codec.Batch(batches)
		one, batches = one[:one.Size()], batches[one.Size():]
		section, err := one.Open(1 << 20)
		if err != nil {
			b.done <- err
			return
		}
		for records := one.Records(section); records.Next(); {
			if r := records.Record(); r.Offset >= b.next && b.count+invoices.Count() < b.most {
				invoices.Append(r.Timestamp, r.Key, fmt.Appendf(nil, "invoice for %s", r.Value), nil)
				b.next = r.Offset + 1
			}
		}
	}
	batch, err := invoices.BuildUnsigned(codec.NoCompression)
	if err != nil {
		b.done <- err
		return
	}
	batch.SetProducer(b.id, 0, int32(b.count))
	b.batch = batch
	c.Request(b.invoices, &codec.Store{Batch: batch})
}
