package actors

// requests are those that a partition let in and has not answered, in the
// order they came. Answers come nearly in that order, so a removal looks from
// the front.
type requests struct{ list []request }

func (r *requests) add(q request) { r.list = append(r.list, q) }

func (r *requests) remove(q request) {
	for i := range r.list {
		if r.list[i] != q {
			continue
		}
		if i == 0 {
			r.list[0] = nil
			r.list = r.list[1:]
			return
		}
		r.list = append(r.list[:i], r.list[i+1:]...)
		return
	}
}

// failAll refuses all of them.
func (r *requests) failAll(err error) {
	list := r.list
	r.list = nil
	for _, q := range list {
		q.refuse(err)
	}
}
