#include "textflag.h"

// A branch to the next instruction.
TEXT ·emulatedHit(SB), NOSPLIT|NOFRAME, $0-0
	WORD $0x14000001
	RET

TEXT ·steppedHit(SB), NOSPLIT|NOFRAME, $0-0
	CMP R0, R0
	RET

TEXT ·trapAddresses(SB), NOSPLIT, $0-16
	MOVD $·emulatedHit(SB), R0
	MOVD R0, emulated+0(FP)
	MOVD $·steppedHit(SB), R0
	MOVD R0, stepped+8(FP)
	RET
