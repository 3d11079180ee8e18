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

// device lets a device of hv answer, or forwards to dom0, or answers as an empty
// bus does.
func (e *emulator) device(s abi.Space, addr uint64, d access, q *decode.Request, now uint64) (action, bool) {
	write := q.Kind == decode.WriteMem || q.Kind == decode.WritePort
	c, claimed := d.dev.(*part.Claim)
	switch {
	case claimed:
		if c.Short {
			a := part.Access{Space: s, Addr: addr, Read: !write, Size: q.Size, Value: q.Value, Time: now}
			if !e.v.Dom.Short(c, d.off, &a) {
				return forward(e.v, a.Space, a.Addr, a.Read, a.Size, a.Value), true
			}
			if a.Read {
				e.v.IO.Op.Feed(a.Value)
			}
			break
		}
		if dom := e.v.Dom; write && dom.HasBells(s) && dom.Ring(s, addr, q.Size) {
			break
		}
		return forward(e.v, s, addr, !write, q.Size, q.Value), true
	case write:
		e.write(d, q.Size, q.Value, now)
	default:
		e.v.IO.Op.Feed(e.read(d, q.Size, now))
	}
	return resume, false
}

// read and write access a device of hv, or nothing.
func (e *emulator) read(d access, size uint8, now uint64) uint64 {
	switch {
	case !d.ok:
		return ^uint64(0)
	case d.dev == e.v.APIC:
		syncCR8(e.v)
		val := e.v.APIC.Read(d.off, size, now)
		e.settled()
		return val
	}
	e.look = true // it may have changed a line
	return d.dev.Read(d.off, size, now)
}

func (e *emulator) write(d access, size uint8, val, now uint64) {
	switch {
	case !d.ok:
	case d.dev == e.v.APIC:
		e.writeAPIC(d.off, size, val, now)
	default:
		e.look = true // it may have raised a line, or moved a timer
		d.dev.Write(d.off, size, val, now)
	}
}

// writeAPIC writes to the local APIC. TPR and EOI are the frequent registers.
func (e *emulator) writeAPIC(off uint64, size uint8, val, now uint64) {
	const tpr, eoi = x86.APICTPR << 4, x86.APICEOI << 4
	if off != tpr {
		syncCR8(e.v)
	}
	e.v.APIC.Write(off, size, val, now)
	switch off {
	case tpr:
		syncCR8(e.v) // the other way round
		e.settled()
	case eoi:
		e.settled()
	default:
		e.look = true
	}
}

// settled looks whether an access to the local APIC has left something to do.
// Most have not.
func (e *emulator) settled() {
	if !e.v.APIC.Settled() {
		e.look = true
	}
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
