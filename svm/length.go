// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package svm

import "ringo/hv/x86"

// lengths remembers how long the instructions at some addresses are, for CPUs
// that do not tell (no NRIPS; in practice QEMU's TCG). The mnemonic is no
// answer, because CPUID, RDMSR, HLT and the others may carry prefixes, and a
// fetch through the guest's page tables at every exit costs more than the exit.
//
// The first exit at an address has Len 0: the receiver decodes the instruction
// and calls Advance, from which the length is learned. The next exit at the
// same address, under the same CR3 and with the same exit code, has it.
//
// Only 64-bit code at privilege level 0 is remembered. User code is not: two
// processes may come to use one CR3 value one after the other, and one could
// then make the hypervisor skip a wrong number of bytes in the other. What
// remains is a kernel that replaces an instruction in place, under the same
// CR3, by the same instruction with another number of prefixes: its RIP would
// then be off by the difference. That hurts that guest alone; no guest is known
// to do it. Everything is forgotten when second-level mappings change.
type lengths struct {
	entries [nlens]lengthKey
	asked   lengthKey // the last exit without a length, if n is not 0
}

// nlens is a power of two, so that an index needs a mask and no check.
const nlens = 32

// lengthKey is an instruction, and its length. The attributes of CS have its
// privilege level, which for a segment that does not conform is the CPU's. The codes
// of instructions have one byte.
type lengthKey struct {
	rip, cr3 uint64
	attrib   uint16
	code     uint8
	n        uint8
	_        [12]byte // a power of two in size
}

// keyOf is the key of the instruction that ended the run.
func keyOf(b *vmcb) lengthKey {
	return lengthKey{rip: b.rip, cr3: b.cr3, attrib: b.cs.attrib, code: uint8(b.exitCode)}
}

// slot spreads neighbouring instructions; they are at least two bytes apart.
func slot(rip uint64) uint64 { return rip >> 1 % nlens }

// known returns what is remembered about the instruction that ended the run, 0 for
// nothing. Run has it in line.
func (l *lengths) known(b *vmcb) uint8 {
	if e := &l.entries[slot(b.rip)]; e.rip == b.rip && e.cr3 == b.cr3 && e.attrib == b.cs.attrib && e.code == uint8(b.exitCode) {
		return e.n
	}
	return 0
}

// length returns the length of the instruction that ended the run, or 0.
func (v *VCPU) length(b *vmcb) uint8 {
	if n := v.lens.known(b); n != 0 {
		return n
	}
	return v.unknown(b)
}

// unknown is length where known has nothing.
func (v *VCPU) unknown(b *vmcb) uint8 {
	if v.nrips {
		return distance(b.rip, b.nextRIP)
	}
	v.lens.asked.n = 0
	v.lens.ask(b)
	return 0
}

// ask remembers an exit whose length Advance may tell. The attribute L means
// 64-bit code only in long mode; entries of other modes are never made, and
// setLMA forgets all when the mode changes. Nor are any of conforming segments.
func (l *lengths) ask(b *vmcb) {
	const kernel64 = attribL
	if b.cpl == 0 && b.efer&x86.EFERLMA != 0 && b.cs.attrib&(attribL|attribDPL|attribConforms) == kernel64 {
		l.asked = keyOf(b)
		l.asked.n = 1
	}
}

// learn notes that the instruction of the last exit has n bytes.
func (l *lengths) learn(b *vmcb, n uint8) {
	if l.asked.n != 0 && l.asked.rip == b.rip && l.asked.cr3 == b.cr3 && n <= 15 {
		l.asked.n = n
		l.entries[slot(b.rip)] = l.asked
	}
	l.asked.n = 0
}

func (l *lengths) forget() { *l = lengths{} }

// Advance implements vcpu.VCPU.
func (v *VCPU) Advance(n uint8) {
	b := v.vmcb
	if v.lens.asked.n != 0 {
		v.lens.learn(b, n)
	}
	b.rip += uint64(n)
	if uint32(b.rip) < uint32(n) && (b.efer&x86.EFERLMA == 0 || b.cs.attrib&attribL == 0) {
		b.rip &= 0xffff_ffff // EIP wraps
	}
	b.interruptState &^= interruptShadow
	v.ev.shadow = false
}
