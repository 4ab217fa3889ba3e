package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway/client"
)

// poller reads topics as they grow, through every life of the brokers. One broker
// never tells it to begin again; of several, one that is cut off may, and then a
// patient poller goes on elsewhere.
type poller struct {
	client  *client.Client
	patient bool
	session string
	stop    context.CancelFunc
	running sync.WaitGroup

	mu  sync.Mutex
	err error
}

func startPoller(ctx context.Context, rec *recorder, from servers, session string, topics []topic, patient bool) (*poller, error) {
	c, err := from.client(ctx, "chaos-poller")
	if err != nil {
		return nil, fmt.Errorf("start poller: %w", err)
	}
	p := &poller{client: c, session: session, patient: patient}
	ctx, p.stop = context.WithCancel(context.WithoutCancel(ctx))
	for _, t := range topics {
		var spans []client.Span
		for i := range t.partitions {
			spans = append(spans, client.Span{Partition: codec.Partition(i), Limit: client.Follow})
		}
		p.running.Go(func() {
			err := p.follow(ctx, rec, t.name, spans)
			if !errors.Is(err, context.Canceled) {
				p.mu.Lock()
				p.err = errors.Join(p.err, err)
				p.mu.Unlock()
			}
		})
	}
	return p, nil
}

// follow reads on behind what it has whenever a reading ends for a reason that
// passes.
func (p *poller) follow(ctx context.Context, rec *recorder, t codec.Topic, spans []client.Span) error {
	for {
		err := readAll(ctx, rec, p.client, p.session, t, spans)
		if ctx.Err() != nil || !p.patient || !codec.CodeOf(err).Retriable() {
			return err
		}
	}
}

func (p *poller) end() error {
	p.stop()
	p.running.Wait()
	p.client.Close()
	return p.err
}

// readAll reads spans to their ends. What was read is behind them when it
// returns.
func readAll(ctx context.Context, rec *recorder, c *client.Client, session string, t codec.Topic, spans []client.Span) error {
	r := c.Read(t, spans, client.ReadOptions{})
	defer r.Close()
	for {
		p, record, err := r.Next(ctx)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s reads %s/%d: %w", session, t, p, err)
		}
		rec.read(session, codec.TopicPartition{Topic: t, Partition: p}, record)
		for i := range spans {
			if spans[i].Partition == p {
				spans[i].From = record.Offset + 1
			}
		}
	}
}

// readRest is readAll of a topic of which retention may take the oldest records
// before they are read: then how far it went is written down, and the rest is read.
func readRest(ctx context.Context, rec *recorder, c *client.Client, session string, t topic, spans []client.Span) error {
	for {
		err := readAll(ctx, rec, c, session, t.name, spans)
		if codec.CodeOf(err) != codec.OffsetOutOfRange || !t.forgets() {
			return err
		}
		gone := false
		for i := range spans {
			log := codec.TopicPartition{Topic: t.name, Partition: spans[i].Partition}
			oldest, _, wrong := c.Offsets(ctx, log)
			if wrong != nil {
				return fmt.Errorf("where does %s begin, after %w: %w", log, err, wrong)
			}
			if oldest > spans[i].From {
				spans[i].From, gone = oldest, true
				rec.begins(log, oldest)
			}
		}
		if !gone {
			return err
		}
	}
}

// audit reads everything from the oldest to what is newest now.
func audit(ctx context.Context, rec *recorder, from servers, session string, topics []topic) error {
	c, err := from.client(ctx, "chaos-audit")
	if err != nil {
		return fmt.Errorf("start audit: %w", err)
	}
	defer c.Close()
	for _, t := range topics {
		spans, err := c.Spans(ctx, t.name, false)
		if err != nil {
			return fmt.Errorf("audit of %s: %w", t.name, err)
		}
		if len(spans) != t.partitions {
			return fmt.Errorf("audit of %s: %d partitions, and it was made with %d", t.name, len(spans), t.partitions)
		}
		if err := readRest(ctx, rec, c, session, t, spans); err != nil {
			return err
		}
	}
	return nil
}
