#include "textflag.h"

// NOP of one byte.
TEXT ·emulatedHit(SB), NOSPLIT|NOFRAME, $0-0
	BYTE $0x90
	RET

TEXT ·steppedHit(SB), NOSPLIT|NOFRAME, $0-0
	TESTQ AX, AX
	RET

TEXT ·trapAddresses(SB), NOSPLIT, $0-16
	LEAQ ·emulatedHit(SB), AX
	MOVQ AX, emulated+0(FP)
	LEAQ ·steppedHit(SB), AX
	MOVQ AX, stepped+8(FP)
	RET
