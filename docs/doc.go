// Package docs owns the pages that describe Troupe and the tests that hold
// the code to them. It promises that the tables of ARCHITECTURE.md are true:
// layers_test.go reads them and the imports of every file, purity_test.go
// looks for clocks, chance, goroutines, locks and disk calls where there may
// be none.
package docs
