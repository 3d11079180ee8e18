// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

// What wait_tamago.go knows of the code of functions that spin.

// codeRange is where a function or a part of one is.
type codeRange struct{ start, size uint64 }

//go:nosplit
func (r *codeRange) has(pc uint64) bool { return pc-r.start < r.size }

// loop finds the instructions in r that load the word at an offset from a register, look
// whether it is 0, and if so begin again: MOVL, TESTL, JE. A thread that is found there
// still waits. One that is found behind them has its semaphore: if that one were put to
// sleep, and each time it is let run the next interrupt came before its next instruction,
// as it does where to set the timer takes long, it would never get out.
//
//go:nosplit
func (r codeRange) loop(offset uint32) codeRange {
	const length = 10
	for a := r.start; a+length <= r.start+r.size; a++ {
		if *p8(a) == 0x8b && *p8(a + 1)>>6 == 2 && *p32(a + 2) == offset &&
			*p8(a + 6) == 0x85 && *p8(a + 8) == 0x74 && *p8(a + 9) == 0x100-length {
			return codeRange{a, length}
		}
	}
	return codeRange{}
}
