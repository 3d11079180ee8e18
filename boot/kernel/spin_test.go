// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import (
	"testing"
	"unsafe"
)

var spinCode []byte // where the garbage collector and the stack do not move it

// TestSpinLoop looks in a function that waits first with a deadline and then without:
// only in the second wait's loop a thread is known to wait, not once it has the word.
func TestSpinLoop(t *testing.T) {
	const offset = 0x12345678
	timed := []byte{
		0x55,                               // PUSHQ BP
		0x90,                               // where the time is asked for
		0x8b, 0x81, 0x78, 0x56, 0x34, 0x12, // MOVL offset(CX), AX
		0x85, 0xc0, // TESTL AX, AX
		0x74, 0xf5, // JE to the NOP
		0x5d, 0xc3,
	}
	other := []byte{0x8b, 0x81, 0x77, 0x56, 0x34, 0x12, 0x85, 0xc0, 0x74, 0xf6} // another word
	loop := []byte{0x8b, 0x82, 0x78, 0x56, 0x34, 0x12, 0x85, 0xc0, 0x74, 0xf6}
	taken := []byte{
		0xf0, 0x0f, 0xb1, 0x99, 0x78, 0x56, 0x34, 0x12, // LOCK CMPXCHGL BX, offset(CX)
		0x75, 0xec, // JNE to the loop
		0x31, 0xc0, 0x5d, 0xc3, // XORL AX, AX; POPQ BP; RET
	}
	code := append(append(append(append([]byte{}, timed...), other...), loop...), taken...)
	spinCode = code
	at := func(n int) uint64 { return addr(unsafe.Pointer(&code[n])) }
	in := codeRange{at(0), uint64(len(code))}
	got := in.loop(offset)
	if want := (codeRange{at(len(timed) + len(other)), uint64(len(loop))}); got != want {
		t.Fatalf("%+v, want %+v", got, want)
	}
	for n := range code {
		want := n >= len(timed)+len(other) && n < len(code)-len(taken)
		if got.has(at(n)) != want {
			t.Errorf("byte %d is in the loop: %v, want %v", n, !want, want)
		}
	}
	in.size -= uint64(len(taken)) + 1
	if got := in.loop(offset); got.size != 0 {
		t.Errorf("of a loop that is cut off: %+v", got)
	}
}
