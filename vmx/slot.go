// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vmx

import "ringo/hv/x86"

// slot numbers the VMCS fields that have a copy in the VCPU.
type slot uint8

// The first ones change by put only; the copy is always right.
const (
	sCR0Shadow slot = iota
	sCR4Shadow
	sEFER
	sPAT
	sTSCOffset
	sProc
	sProc2
	sMSRBitmap
	sTPRThreshold
	sEntry
	sEntryEvent
	sEntryError
	sEntryLength
	numStable
)

// The others are the guest's: after a run a copy is read again when it is
// wanted. Segment fields come in the order of x86.Seg.
const (
	sCR0 = numStable + iota // of these two the bits of freeCR0 and freeCR4
	sCR4
	sRSP
	sRFLAGS
	sCR3
	sDR7
	sGDTRBase
	sGDTRLimit
	sIDTRBase
	sIDTRLimit
	sSysenterCS
	sSysenterESP
	sSysenterEIP
	sInterrupt
	sPendingDebug
	sPDPTE0
	sSelector = sPDPTE0 + 4
	sLimit    = sSelector + slot(x86.NumSegs)
	sAccess   = sLimit + slot(x86.NumSegs)
	sBase     = sAccess + slot(x86.NumSegs)
	numSlots  = sBase + slot(x86.NumSegs)
)

const (
	stable   = 1<<numStable - 1
	volatile = 1<<numSlots - 1 - stable
)

// fieldOf is the field of each slot.
var fieldOf = [numSlots]uint32{
	sCR0: uint32(guestCR0), sCR4: uint32(guestCR4),
	sCR0Shadow: uint32(ctlCR0Shadow), sCR4Shadow: uint32(ctlCR4Shadow),
	sEFER: uint32(guestEFER), sPAT: uint32(guestPAT), sTSCOffset: uint32(ctlTSCOffset),
	sProc: uint32(ctlProc), sProc2: uint32(ctlProc2), sMSRBitmap: uint32(ctlMSRBitmap),
	sTPRThreshold: uint32(ctlTPRThreshold), sEntry: uint32(ctlEntry),
	sEntryEvent: uint32(ctlEntryEvent), sEntryError: uint32(ctlEntryError), sEntryLength: uint32(ctlEntryLength),
	sRSP: uint32(guestRSP), sRFLAGS: uint32(guestRFLAGS), sCR3: uint32(guestCR3), sDR7: uint32(guestDR7),
	sGDTRBase: uint32(guestGDTRBase), sGDTRLimit: uint32(guestGDTRLimit),
	sIDTRBase: uint32(guestIDTRBase), sIDTRLimit: uint32(guestIDTRLimit),
	sSysenterCS: uint32(guestSysenterCS), sSysenterESP: uint32(guestSysenterESP), sSysenterEIP: uint32(guestSysenterEIP),
	sInterrupt: uint32(guestInterruptState), sPendingDebug: uint32(guestPendingDebug),
	sPDPTE0: uint32(guestPDPTE0), sPDPTE0 + 1: uint32(guestPDPTE0) + 2,
	sPDPTE0 + 2: uint32(guestPDPTE0) + 4, sPDPTE0 + 3: uint32(guestPDPTE0) + 6,

	sSelector: uint32(guestESSelector), sSelector + 1: uint32(guestESSelector) + 2,
	sSelector + 2: uint32(guestESSelector) + 4, sSelector + 3: uint32(guestESSelector) + 6,
	sSelector + 4: uint32(guestESSelector) + 8, sSelector + 5: uint32(guestESSelector) + 10,
	sSelector + 6: uint32(guestESSelector) + 12, sSelector + 7: uint32(guestESSelector) + 14,

	sLimit: uint32(guestESLimit), sLimit + 1: uint32(guestESLimit) + 2,
	sLimit + 2: uint32(guestESLimit) + 4, sLimit + 3: uint32(guestESLimit) + 6,
	sLimit + 4: uint32(guestESLimit) + 8, sLimit + 5: uint32(guestESLimit) + 10,
	sLimit + 6: uint32(guestESLimit) + 12, sLimit + 7: uint32(guestESLimit) + 14,

	sAccess: uint32(guestESAccess), sAccess + 1: uint32(guestESAccess) + 2,
	sAccess + 2: uint32(guestESAccess) + 4, sAccess + 3: uint32(guestESAccess) + 6,
	sAccess + 4: uint32(guestESAccess) + 8, sAccess + 5: uint32(guestESAccess) + 10,
	sAccess + 6: uint32(guestESAccess) + 12, sAccess + 7: uint32(guestESAccess) + 14,

	sBase: uint32(guestESBase), sBase + 1: uint32(guestESBase) + 2,
	sBase + 2: uint32(guestESBase) + 4, sBase + 3: uint32(guestESBase) + 6,
	sBase + 4: uint32(guestESBase) + 8, sBase + 5: uint32(guestESBase) + 10,
	sBase + 6: uint32(guestESBase) + 12, sBase + 7: uint32(guestESBase) + 14,
}

// cache is the copies. valid has a bit for each that is right, dirty for each
// that the VMCS does not have yet.
type cache struct {
	valid, dirty uint64
	val          [numSlots]uint64
}

// get returns a field. Precondition: it is valid, or v is loaded on this CPU, or on
// none and this CPU is in VMX operation.
func (v *VCPU) get(s slot) uint64 {
	if v.valid>>s&1 == 0 {
		v.fetchOne(s)
	}
	return v.val[s]
}

func (v *VCPU) fetchOne(s slot) {
	if !v.loaded {
		v.fetch(1 << s)
		return
	}
	v.val[s] = v.on.p.read(fieldOf[s])
	v.valid |= 1 << s
}

// fetch makes the copies of mask valid, of which none is.
func (v *VCPU) fetch(mask uint64) {
	if v.loaded {
		v.on.p.readSlots(&v.val, mask)
	} else {
		v.on.p.peek(&v.val, mask, v.pages)
	}
	v.valid |= mask
}

// put changes a field for the next entry.
func (v *VCPU) put(s slot, val uint64) {
	v.val[s] = val
	v.valid |= 1 << s
	v.dirty |= 1 << s
	v.todo |= todoWrite
}

// putNew is put unless the copy is known to be val already.
func (v *VCPU) putNew(s slot, val uint64) {
	if v.valid>>s&1 == 0 || v.val[s] != val {
		v.put(s, val)
	}
}

// set is put when that makes a difference.
func (v *VCPU) set(s slot, val uint64) {
	if v.get(s) != val {
		v.put(s, val)
	}
}

// writeDirty brings the VMCS up to date. Precondition: v is loaded.
func (v *VCPU) writeDirty() {
	if v.dirty != 0 {
		v.on.p.writeSlots(&v.val, v.dirty)
		v.dirty = 0
	}
}

// need makes the copies of mask valid, under the same precondition. Many at once cost
// little more than one.
func (v *VCPU) need(mask uint64) {
	if mask &^= v.valid; mask != 0 {
		v.fetch(mask)
	}
}

// segmentSlots are the copies of one segment register, to be shifted left by its
// number. fetching is what decides how the instruction at RIP is fetched, whether an
// interrupt would be taken, and what people want to see of a vCPU: Leave keeps it.
const (
	segmentSlots = 1<<sSelector | 1<<sLimit | 1<<sAccess | 1<<sBase
	fetching     = 1<<sCR0 | 1<<sCR4 | 1<<sRSP | 1<<sRFLAGS | 1<<sCR3 | (1<<sAccess|1<<sBase)<<slot(x86.CS)
)
