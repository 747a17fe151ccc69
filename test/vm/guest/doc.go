// Package guest holds the tests that run inside a guest of the kernel matrix: they
// drive the real ebpfprof binary against programs whose behaviour is known. On the
// host, where they would take a CPU offline, they skip; make test-vm runs them.
package guest
