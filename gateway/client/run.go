package client

import (
	"context"
	"errors"
)

// Run gives records to handle, until ctx ends, handle returns an error or a
// partition has one; then it returns that. Records that handle was given and
// returned nil for count as taken, all of them. When it returns an error they
// count as not taken: Positions stand before them, and a further Run or Poll
// gives them again.
func (n *Consumer) Run(ctx context.Context, handle func(context.Context, *Records) error) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		r, err := n.Poll(ctx)
		var damage *DamagedBatch
		if errors.As(err, &damage) && n.options.OnDamaged != nil {
			err = n.options.OnDamaged(damage)
			if err == nil {
				continue
			}
		}
		if err != nil {
			return err
		}
		u, before := r.cursor, r.cursor.at
		err = handle(ctx, r)
		if r.cursor == nil { // it called Seek, and that stands
			u = nil
		}
		switch {
		case err != nil && u != nil:
			u.at = before
			r.begin(u)
			return err
		case err != nil:
			return err
		case u != nil:
			r.skip()
		}
	}
}

// skip takes all that is left, but for a batch that cannot be read.
func (r *Records) skip() {
	for r.Next() {
	}
}
