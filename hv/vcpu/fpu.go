// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vcpu

import "encoding/binary"

// FPUKind is how a backend saves and restores the x87, SSE and AVX state.
type FPUKind uint8

// The kinds.
const (
	FXSAVE FPUKind = iota // host without OSXSAVE: guests get no XSAVE either
	XSAVE
	XSAVEOPT
)

// Sizes in bytes (SDM Vol. 1, "Managing State Using the XSAVE Feature Set").
const (
	FPULegacy = 512 // FXSAVE image
	FPUHeader = 64  // XSAVE header: XSTATE_BV, XCOMP_BV
)

// MXCSRReset is MXCSR after reset, and as Go code wants it.
const MXCSRReset = 0x1f80

// FPUImage is the start of an image of that state; AVX and what else XCR0 has
// follows.
type FPUImage [FPULegacy + FPUHeader]byte

// Reset puts the state after reset into i (SDM Vol. 3, Table "IA-32 and Intel 64
// Processor States Following Power-up, Reset, or INIT"): control word 0x40, all
// registers +0.0 and valid. Components above SSE are in their initial state by
// XSTATE_BV. Precondition: the image is zero.
func (i *FPUImage) Reset() {
	binary.LittleEndian.PutUint16(i[0:], 0x40)
	i[4] = 0xff // abridged tag word: nothing empty
	binary.LittleEndian.PutUint32(i[24:], MXCSRReset)
	i[FPULegacy] = 3 // XSTATE_BV: x87, SSE
}
