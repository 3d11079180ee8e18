// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package run

import (
	"ringo/hv/abi"
	"ringo/hv/internal/part"
	"ringo/hv/vcpu"
)

// port answers an access to an I/O port: by a device of the hypervisor, by
// dom0, or as a bus without a device does.
func port(r *Runner, v *part.VCPU, x *vcpu.Exit) action {
	io := &x.IO
	if !x.Ahead {
		return unusualPort(r, v, x)
	}
	s := v.Dom.Ports.At(io.Port)
	if s == nil || !s.Holds(io.Port, io.Size) {
		if io.In {
			v.Regs.RAX = merge(v.Regs.RAX, ^uint64(0), io.Size)
		}
		return resume
	}
	switch d := s.Dev.(type) {
	case *part.Claim:
		if d.Short && !v.Dom.Silent(d, s.Off(io.Port)) {
			return short(v, x, d, s.Off(io.Port))
		}
		if !io.In && v.Dom.HasBells(abi.SpacePort) && v.Dom.Ring(abi.SpacePort, uint64(io.Port), io.Size) {
			return resume
		}
		v.IO.Kind = part.PendingPort
		return forward(v, abi.SpacePort, uint64(io.Port), io.In, io.Size, v.Regs.RAX)
	default:
		if io.In {
			val := d.Read(s.Off(io.Port), io.Size, x.TSC)
			v.Regs.RAX = merge(v.Regs.RAX, val, io.Size)
			return resume
		}
		d.Write(s.Off(io.Port), io.Size, v.Regs.RAX&mask(io.Size), x.TSC)
		v.SetAttention() // it may have raised a line or moved a timer
		return resume
	}
}

// short answers an access to a claim with a short way.
func short(v *part.VCPU, x *vcpu.Exit, c *part.Claim, off uint64) action {
	io := &x.IO
	a := part.Access{
		Space: abi.SpacePort, Addr: uint64(io.Port), Read: io.In, Size: io.Size, Value: v.Regs.RAX & mask(io.Size), Time: x.TSC,
	}
	if !v.Dom.Short(c, off, &a) {
		v.IO.Kind = part.PendingPort
		return forward(v, a.Space, a.Addr, a.Read, a.Size, a.Value)
	}
	if io.In {
		v.Regs.RAX = merge(v.Regs.RAX, a.Value, io.Size)
	}
	return resume
}

// unusualPort answers INS and OUTS, and instructions of unknown length.
func unusualPort(r *Runner, v *part.VCPU, x *vcpu.Exit) action {
	switch {
	case x.IO.String:
		return r.emu.io(v, x)
	case !r.advance(v, x):
		return resume
	}
	return port(r, v, x)
}

// masks has, at n, the low n bytes set.
var masks = [16]uint64{
	0, 0xff, 0xffff, 0xff_ffff, 0xffff_ffff, 0xff_ffff_ffff, 0xffff_ffff_ffff, 0xff_ffff_ffff_ffff,
	^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0),
}

// mask has the low size bytes set. Sizes are 1, 2, 4 and 8.
func mask(size uint8) uint64 { return masks[size%16] }

// merge puts the low size bytes of val into register reg as a MOV or IN of that
// size does: 4 bytes clear the upper half.
func merge(reg, val uint64, size uint8) uint64 {
	if size == 4 {
		return uint64(uint32(val))
	}
	m := mask(size)
	return reg&^m | val&m
}

// forward hands an access to dom0 and blocks v until it is answered. v.IO says
// what to do then.
func forward(v *part.VCPU, s abi.Space, addr uint64, read bool, size uint8, data uint64) action {
	v.Dom.Forward(v, s, addr, read, size, data&mask(size))
	return block
}

// finish completes the access that dom0 has answered. It returns block when the
// instruction needs dom0 once more.
func (r *Runner) finish(v *part.VCPU, now uint64) action {
	val := v.Dom.Answer(v)
	if v.IO.Kind == part.PendingMemory {
		return r.emu.answered(v, val, now)
	}
	if v.IO.Read {
		rax := &v.Regs.RAX
		*rax = merge(*rax, val, v.IO.Size)
	}
	return resume
}
