package client

import "slices"

// sortPending puts requests in the order they were made. Ids wrap around, so
// it is the distance that counts.
func sortPending(all []*pending) {
	slices.SortFunc(all, func(a, b *pending) int { return int(int32(a.id - b.id)) })
}
