// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vmx

import "math/bits"

// maxVPID is the number of identifiers that vCPUs can have; 0 is the host's.
const maxVPID = 4095

// vpids is the set of identifiers in use. A vCPU has its own for life, on all
// CPUs: what a CPU's TLB holds under it is dropped when the vCPU comes there
// from elsewhere (prepare.go), so the identifier of a dead one can be used again.
type vpids [(maxVPID + 1) / 64]uint64

// take returns a free identifier, 0 when there is none.
func (s *vpids) take() uint16 {
	s[0] |= 1
	for i := range s {
		if n := bits.TrailingZeros64(^s[i]); n < 64 {
			s[i] |= 1 << n
			return uint16(i*64 + n)
		}
	}
	return 0
}

func (s *vpids) put(id uint16) { s[id/64] &^= 1 << (id % 64) }
