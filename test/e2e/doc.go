// Package e2e tests the program as its users run it: it is built, started as root on
// real targets, and what it writes is read by the readers that people have.
//
// Every recording of these tests is also checked for what must hold of all: events =
// samples + losses, samples = stacks, and the files agree with the summary. The bars on
// accuracy are those of docs/overhead.md; nothing fails for being slow.
//
// Tests that need the machine for themselves run one after the other; those that look
// at their own processes only run in parallel after them.
package e2e
