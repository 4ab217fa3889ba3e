// Package scenario owns the language in which simulations are written down:
// how many nodes, what clients do, and what goes wrong when. The same text is
// played by the simulated world and by real processes.
//
// It promises that what it parses it writes back, that a scenario and a seed
// always give the same plan, and that a plan is a scenario again, in which
// every fault has its moment: so a plan that fails can be cut down, kept and
// played.
package scenario
