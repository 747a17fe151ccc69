//go:build foreign

package main

// int add(int a, int b) { return a + b; }
import "C"

func foreign() { depth += int(C.add(1, 2)) - 3 }
