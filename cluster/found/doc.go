// Package found owns how brokers that were started with the same flags found one
// cluster together: the record that each of them stores once, what each says when
// it is asked, and what follows from the answers.
//
// It promises: no two different records are complete that have a broker in common,
// and nobody founds by a record that is not complete. A record is complete when
// every broker that it names has stored it on the disk that it names; a stored
// record is never replaced. So whatever dies, and whenever, brokers that list each
// other found one cluster or none.
package found
