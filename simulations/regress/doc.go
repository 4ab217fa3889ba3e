// Package regress owns the bugs that simulations found: what each was, the
// seed that showed it, and a test that plays it again for ever.
//
// It promises that a bug once found by a seed stays found: its seeds are
// played by every run of the tests. A seed shows another history once the code
// or the scenario has changed, so a bug that matters has a law of its own
// beside the code too; the table names it.
package regress
