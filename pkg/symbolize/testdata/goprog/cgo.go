//go:build cgo

package main

// static __attribute__((noinline)) unsigned spin_in_c(unsigned n) { unsigned s = 0; for (unsigned i = 0; i < n; i++) s += i * i ^ s; return s; }
// unsigned call_spin(unsigned n) { return spin_in_c(n) + 1; }
import "C"

func init() { C.call_spin(3) }
