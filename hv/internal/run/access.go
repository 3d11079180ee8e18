// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package run

import (
	"encoding/binary"

	"ringo/hv/abi"
	"ringo/hv/bus"
	"ringo/hv/decode"
	"ringo/hv/internal/part"
	"ringo/hv/x86"
	"ringo/mm"
)

// access is what a bus found.
type access struct {
	dev bus.Device
	off uint64
	ok  bool
}

// serve performs one access of the instruction. It reports stop when the
// instruction must not go on now, and what to do instead.
func (e *emulator) serve(q *decode.Request, now uint64) (a action, stop bool) {
	if q.Kind == decode.ReadPort || q.Kind == decode.WritePort {
		dev, off, ok := e.v.Dom.Ports.Find(q.Port, q.Size)
		return e.device(abi.SpacePort, uint64(q.Port), access{dev, off, ok}, q, now)
	}
	p := &e.v.IO.Place[q.Operand&1]
	if p.Here != q.Size {
		return e.straddle(p, q)
	}
	d := deviceAt(e.v, p.GPA, q.Size)
	if !d.ok {
		if a, stop, ok := e.inRAM(p.GPA, q); ok {
			return a, stop
		}
	}
	if d.dev == e.v.APIC {
		return e.apic(d, q, now)
	}
	return e.device(abi.SpaceMemory, uint64(p.GPA), d, q, now)
}

// deviceAt finds the device that answers size bytes at gpa: v's local APIC, or
// one on its domain's bus.
func deviceAt(v *part.VCPU, gpa mm.GPA, size uint8) access {
	if uint64(gpa)&^0xfff == abi.LAPICBase && v.APIC.Mapped() {
		return access{v.APIC, uint64(gpa) & 0xfff, true}
	}
	dev, off, ok := v.Dom.Mem.Find(gpa, size)
	return access{dev, off, ok}
}

// writes reports the direction of an access.
func writes(q *decode.Request) bool { return q.Kind == decode.WriteMem || q.Kind == decode.WritePort }

// device lets a device of hv answer, or forwards to dom0, or answers as an empty
// bus does.
func (e *emulator) device(s abi.Space, addr uint64, d access, q *decode.Request, now uint64) (action, bool) {
	op := &e.v.IO.Op
	switch write := writes(q); {
	case d.ok && part.IsClaimed(d.dev):
		if dom := e.v.Dom; write && dom.HasBells(s) && dom.Ring(s, addr, q.Size) {
			break
		}
		return forward(e.v, s, addr, !write, q.Size, q.Value), true
	case d.ok && write:
		d.dev.Write(d.off, q.Size, q.Value, now)
		e.look = true // it may have raised a line, or moved a timer
	case d.ok:
		op.Feed(d.dev.Read(d.off, q.Size, now))
		e.look = true
	case !write:
		op.Feed(^uint64(0))
	}
	return resume, false
}

// apic is device for the local APIC. Most accesses to it give no reason to look.
func (e *emulator) apic(d access, q *decode.Request, now uint64) (action, bool) {
	const eoi = x86.APICEOI << 4 // xAPIC registers are 16 bytes apart
	apic := e.v.APIC
	syncCR8(e.v)
	if !writes(q) {
		e.v.IO.Op.Feed(apic.Read(d.off, q.Size, now))
	} else {
		apic.Write(d.off, q.Size, q.Value, now)
		e.look = e.look || d.off != eoi
	}
	e.look = e.look || apic.Virtual() || !apic.Settled()
	return resume, false
}

// inRAM performs the access if it goes to RAM, and reports ok then.
func (e *emulator) inRAM(gpa mm.GPA, q *decode.Request) (a action, stop, ok bool) {
	b := e.word[:q.Size]
	if q.Kind == decode.ReadMem {
		e.word = [8]byte{}
		if ok = e.ram.Read(gpa, b); ok {
			e.v.IO.Op.Feed(binary.LittleEndian.Uint64(e.word[:]))
		}
		return resume, false, ok
	}
	if q.Atomic {
		if swapped, ok := e.ram.Swap(gpa, q.Size, q.Old, q.Value); ok {
			return resume, !swapped, true // if not, the guest executes it again
		}
	}
	binary.LittleEndian.PutUint64(e.word[:], q.Value)
	if e.ram.Write(gpa, b) {
		return resume, false, true
	}
	if !e.ram.Read(gpa, b) {
		return resume, false, false
	}
	if e.v.Dom.Privileged() {
		return readOnly(e.v), true, true
	}
	return resume, false, true // ROM
}

// straddle performs an access that begins in one page and ends in another. No
// device has registers there: what does not go to RAM goes nowhere.
func (e *emulator) straddle(p *part.Place, q *decode.Request) (a action, stop bool) {
	first, second := e.word[:p.Here], e.word[p.Here:q.Size]
	if q.Kind == decode.WriteMem {
		binary.LittleEndian.PutUint64(e.word[:], q.Value)
		wrote := e.ram.Write(p.GPA, first)
		wroteNext := e.ram.Write(p.Next, second)
		if e.v.Dom.Privileged() && (!wrote && e.ram.Read(p.GPA, first) || !wroteNext && e.ram.Read(p.Next, second)) {
			return readOnly(e.v), true
		}
		return resume, false
	}
	binary.LittleEndian.PutUint64(e.word[:], ^uint64(0))
	e.ram.Read(p.GPA, first)
	e.ram.Read(p.Next, second)
	e.v.IO.Op.Feed(binary.LittleEndian.Uint64(e.word[:]))
	return resume, false
}
