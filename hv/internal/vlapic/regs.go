// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vlapic

import "ringo/hv/x86"

// Register numbers: the xAPIC offset divided by 16, the x2APIC MSR minus 0x800
// (SDM Vol. 3, Table "Local APIC Register Address Map Supported by x2APIC").
const (
	regID      = 0x02
	regVersion = 0x03
	regTPR     = 0x08
	regAPR     = 0x09 // xAPIC only
	regPPR     = 0x0a
	regEOI     = x86.APICEOI
	regRRD     = 0x0c // xAPIC only
	regLDR     = 0x0d
	regDFR     = 0x0e // xAPIC only
	regSVR     = 0x0f
	regISR     = 0x10 // to 0x17
	regTMR     = 0x18 // to 0x1f
	regIRR     = 0x20 // to 0x27
	regESR     = 0x28
	regICR     = 0x30
	regICRHigh = 0x31 // xAPIC only
	regLVT     = 0x32 // to 0x37: timer, thermal, perf, LINT0, LINT1, error
	regInitial = 0x38
	regCurrent = 0x39
	regDivide  = 0x3e
	regSelfIPI = x86.APICSelfIPI // x2APIC only
	numRegs    = 0x40
)

const (
	// version: integrated APIC, six LVT entries, EOI-broadcast suppression.
	version = 0x14 | (lvtCount-1)<<16 | 1<<24

	svrReset       = 0xff
	svrEnable      = 1 << 8
	svrSuppressEOI = 1 << 12
	svrWritable    = 0xff | svrEnable | svrSuppressEOI

	dfrFlat     = 0xffff_ffff
	dfrCluster  = 0x0fff_ffff
	dfrReserved = 0x0fff_ffff // read as ones

	// Bits of ESR.
	errSendIllegal = 1 << 5
	errRecvIllegal = 1 << 6
	errRegister    = 1 << 7
)

// logicalX2 is the x2APIC logical ID: cluster in the high half, one of 16 bits
// in the low (SDM Vol. 3, "Deriving Logical x2APIC ID from the Local x2APIC ID").
func logicalX2(id uint32) uint32 { return id>>4<<16 | 1<<(id&15) }

// word is the 32-bit register i of a 256-bit set.
func word(w uint64, i uint32) uint64 { return w >> (32 * (i & 1)) & 0xffff_ffff }

// read returns register r at now, the host's TSC. ok is false for one that does not exist or cannot be
// read in the current mode.
func (l *LAPIC) read(r uint32, x2 bool, now uint64) (val uint64, ok bool) {
	if l.away && (r-regISR < 8 || r == regTPR || r == regPPR) {
		return uint64(*l.page.Reg(int(r))), true
	}
	if l.offered {
		l.look()
	}
	switch {
	case r-regISR < 8:
		return word(l.isr[(r-regISR)>>1], r), true
	case r-regTMR < 8:
		return word(l.tmr[(r-regTMR)>>1].Load(), r), true
	case r-regIRR < 8:
		w := word(l.irr[(r-regIRR)>>1].Load(), r)
		if l.away {
			w |= uint64(*l.page.Reg(int(r)))
		}
		return w, true
	case r-regLVT < lvtCount:
		return uint64(l.lvt[r-regLVT].Load()), true
	}
	switch r {
	case regID:
		if x2 {
			return uint64(l.id), true
		}
		return uint64(l.id) << 24, true
	case regVersion:
		return version, true
	case regTPR:
		return uint64(l.tpr), true
	case regPPR:
		return uint64(l.ppr), true
	case regLDR:
		if x2 {
			return uint64(logicalX2(l.id)), true
		}
		return uint64(l.ldr.Load()), true
	case regSVR:
		return uint64(l.svr), true
	case regESR:
		return uint64(l.esr), true
	case regICR:
		if x2 {
			return l.icr, true
		}
		return l.icr & 0xffff_ffff, true
	case regInitial:
		return uint64(l.timer.initial), true
	case regCurrent:
		return uint64(l.currentCount(now)), true
	case regDivide:
		return uint64(l.timer.dcr), true
	case regDFR:
		return uint64(l.dfr.Load()), !x2
	case regICRHigh:
		return l.icr >> 32, !x2
	case regAPR, regRRD, regEOI:
		return 0, !x2
	}
	return 0, false
}

// write sets register r at now. ok is false for one that does not exist or cannot be
// written in the current mode, and in x2APIC mode for reserved bits.
func (l *LAPIC) write(r uint32, val uint64, x2 bool, now uint64) (ok bool) {
	if x2 && r != regICR && val>>32 != 0 {
		return false
	}
	v := uint32(val)
	switch r {
	case regTPR, regEOI: // are not shown
	case regICR, regInitial: // are frequent, change alone, and are shown below
	default:
		l.shown = false
	}
	if r-regLVT < lvtCount {
		return l.writeLVT(r-regLVT, v, x2, now)
	}
	switch r {
	case regTPR:
		return l.writeTPR(v, x2)
	case regEOI:
		if x2 && v != 0 {
			return false
		}
		l.EOI()
		return true
	case regSVR:
		return l.writeSVR(v, x2)
	case regESR:
		if x2 && v != 0 {
			return false
		}
		l.esr = l.errs.Swap(0)
		return true
	case regICR:
		ok := l.writeICR(val, x2)
		if l.shown {
			l.showOne(regICR, l.icr)
		}
		return ok
	case regSelfIPI:
		return l.writeSelfIPI(v, x2)
	case regInitial:
		l.writeInitial(v, now)
		if l.shown {
			l.showOne(regInitial, uint64(l.timer.initial))
		}
		return true
	case regDivide:
		return l.writeDivide(v, x2, now)
	}
	return !x2 && l.writeX1(r, v)
}

// writeX1 sets the registers that only xAPIC mode writes.
func (l *LAPIC) writeX1(r, v uint32) (ok bool) {
	switch r {
	case regLDR:
		l.ldr.Store(v & 0xff00_0000)
	case regDFR:
		l.dfr.Store(v | dfrReserved)
	case regICRHigh:
		l.icr = l.icr&0xffff_ffff | uint64(v&0xff00_0000)<<32
	case regID, regAPR, regRRD:
		// The ID is read-only, as on current processors; the two others have
		// no function since the Pentium 4.
	default:
		return false
	}
	return true
}

func (l *LAPIC) writeTPR(v uint32, x2 bool) bool {
	if x2 && v > 0xff {
		return false
	}
	if l.away {
		l.tprAway(uint8(v))
		return true
	}
	l.tpr, l.tprWritten = uint8(v), true
	l.updatePPR()
	return true
}

// writeSVR sets the spurious-interrupt vector register. Software disable masks
// every LVT entry (SDM Vol. 3, "Local APIC State After It Has Been Software
// Disabled").
func (l *LAPIC) writeSVR(v uint32, x2 bool) bool {
	if x2 && v&^svrWritable != 0 {
		return false
	}
	l.svr = v & svrWritable
	if v&svrEnable != 0 {
		l.mode.Or(modeSW)
		return true
	}
	l.mode.And(^uint32(modeSW))
	l.maskLVT()
	return true
}
