// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package svm

// The setters of fields that the CPU may keep from the last VMRUN of this VMCB.
// Each clears the clean bit that covers its field.

func (b *vmcb) setIntercepts(field *uint32, set, clear uint32) {
	*field = *field&^clear | set
	b.clean &^= cleanIntercepts
}

func (b *vmcb) setTSCOffset(v uint64) { b.tscOffset, b.clean = v, b.clean&^cleanIntercepts }
func (b *vmcb) setASID(v uint32)      { b.asid, b.clean = v, b.clean&^cleanASID }
func (b *vmcb) setVIntr(v uint64)     { b.vintr, b.clean = v, b.clean&^cleanTPR }
func (b *vmcb) setNCR3(v uint64)      { b.nCR3, b.clean = v, b.clean&^cleanNP }
func (b *vmcb) setPAT(v uint64)       { b.gPAT, b.clean = v, b.clean&^cleanNP }
func (b *vmcb) setCR0(v uint64)       { b.cr0, b.clean = v, b.clean&^cleanCR }
func (b *vmcb) setCR2(v uint64)       { b.cr2, b.clean = v, b.clean&^cleanCR2 }
func (b *vmcb) setCR3(v uint64)       { b.cr3, b.clean = v, b.clean&^cleanCR }
func (b *vmcb) setCR4(v uint64)       { b.cr4, b.clean = v, b.clean&^cleanCR }
func (b *vmcb) setEFER(v uint64)      { b.efer, b.clean = v, b.clean&^cleanCR }
func (b *vmcb) setDR6(v uint64)       { b.dr6, b.clean = v, b.clean&^cleanDR }
func (b *vmcb) setDR7(v uint64)       { b.dr7, b.clean = v, b.clean&^cleanDR }

// setTable writes GDTR or IDTR.
func (b *vmcb) setTable(s *segment, base uint64, limit uint32) {
	s.base, s.limit = base, limit
	b.clean &^= cleanDT
}

// setSegment writes any of the eight segment registers. FS, GS, LDTR and TR are
// loaded by VMLOAD, which caches nothing; the extra clearing costs little.
func (b *vmcb) setSegment(s *segment, v segment) {
	*s = v
	b.clean &^= cleanSeg
}

func (b *vmcb) setCPL(v uint8) { b.cpl, b.clean = v, b.clean&^cleanSeg }
