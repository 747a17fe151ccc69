package main

import (
	"fmt"
	"os"
)

// afterCall reports whether the code that a process has before addr+1, a return address, ends in a call: e8 with a
// displacement, or ff /2 with any operand (Intel SDM volume 2, CALL). It is what can be said of a caller without unwinding.
func afterCall(pid int, addr uint64) bool {
	f, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		return false
	}
	defer f.Close()
	const longest = 7
	var code [longest]byte
	if _, err := f.ReadAt(code[:], int64(addr+1-longest)); err != nil {
		return false
	}
	if code[longest-5] == 0xe8 {
		return true
	}
	for _, n := range []int{2, 3, 4, 6, 7} { // of ff, its operand and displacement
		if at := code[longest-n:]; at[0] == 0xff && at[1]>>3&7 == 2 {
			return true
		}
	}
	return false
}
