// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package run

import (
	"encoding/binary"

	"ringo/hv/decode"
	"ringo/hv/vcpu"
	"ringo/hv/x86"
	"ringo/mm"
)

// model is what a CPU does with a trial's instruction.
type model struct {
	c *trial
	s decode.State
	r x86.Regs
	e decode.Emulation
	o outcome
}

func newModel(c *trial) *model {
	m := &model{c: c, o: c.see(), r: c.hw.Registers}
	m.o.Log = nil
	m.s = decode.State{
		Regs: &m.r, RSP: c.hw.State[x86.RSP], RIP: c.hw.State[x86.RIP], RFLAGS: c.hw.State[x86.RFLAGS],
		CR0: c.hw.State[x86.CR0], Mode: c.mode,
	}
	for s := range m.s.Base {
		m.s.Base[s] = c.seg[s].Base
	}
	m.e.Start(&c.insn)
	return m
}

// operands are those of the instruction; the emulation then stands behind them.
func (m *model) operands() []decode.Operand {
	e := m.e
	if _, status := e.Next(&m.s); status != decode.Locate {
		m.s.RIP = 0x1000 // a repeated instruction without a count is done by now
		return nil
	}
	return e.Operands()
}

// run carries the instruction out.
func (m *model) run(user bool) {
	c := m.c
	if c.insn.Exiting() && c.insn.Op >= decode.In {
		return // not what a memory exit can be about
	}
	for {
		q, status := m.e.Next(&m.s)
		switch status {
		case decode.Locate:
			for _, o := range m.e.Operands() {
				if !m.translate(&o, user) {
					return
				}
			}
		case decode.Access:
			if !m.access(&q) {
				return
			}
		default:
			m.commit()
			return
		}
	}
}

func (m *model) commit() {
	m.o.RIP, m.o.Flags = m.s.RIP, m.s.RFLAGS
	for n := range uint8(16) {
		m.o.Regs[n] = *m.s.GPR(n)
	}
}

// translate marks the pages of an operand, or says which fault it is.
func (m *model) translate(o *decode.Operand, user bool) bool {
	seg := m.c.seg[o.Seg]
	if m.c.mode.Code != 64 {
		code, allowed := seg.Access&8 != 0, seg.Access&2 != 0
		if o.Write && (code || !allowed) || o.Read && code && !allowed || o.Offset+uint64(o.Size)-1 > uint64(seg.Limit) {
			m.segmentFault(o.Seg)
			return false
		}
	}
	for i := range uint64(o.Size) {
		at := o.Addr + i
		if m.c.mode.Code != 64 {
			at = uint64(uint32(at))
		} else if int64(at<<16)>>16 != int64(at) {
			m.segmentFault(o.Seg)
			return false
		}
		if i != 0 && at%mm.PageSize != 0 {
			continue // the same page
		}
		if err, ok := m.page(at, o.Write, user); !ok {
			m.o.Fault = vcpu.Event{Type: vcpu.HardException, Vector: x86.VecPF, HasErr: true, Err: err}
			m.o.CR2 = at
			return false
		}
	}
	return true
}

func (m *model) segmentFault(seg x86.Seg) {
	m.o.Fault = vcpu.Event{Type: vcpu.HardException, Vector: x86.VecGP, HasErr: true}
	if seg == x86.SS {
		m.o.Fault.Vector = x86.VecSS
	}
}

// byte is the one at at, in page n.
func (m *model) byte(n int, at uint64) *byte {
	off := at % mm.PageSize
	if off >= edge {
		off -= mm.PageSize - 2*edge
	}
	return &m.o.Memory[n][off]
}

// page is the walk for one page.
func (m *model) page(at uint64, write, user bool) (err uint32, ok bool) {
	if write {
		err |= x86.PFWrite
	}
	if user {
		err |= x86.PFUser
	}
	n := m.number(at)
	if n < 0 {
		return err, at < 0x20_0000 // the large page, in which all is allowed
	}
	switch k := m.c.kinds[n]; {
	case k == pageNone:
		return err, false
	case (k == pageRO || k == pageHoleRO) && write, k == pageSystem && user:
		return err | x86.PFPresent, false
	case isRAM(k):
		if m.o.Marks[n] |= 0x20; write {
			m.o.Marks[n] |= 0x40
		}
	}
	return 0, true
}

func (m *model) number(at uint64) int {
	if at < arena || at >= arena+arenaPages*mm.PageSize {
		return -1
	}
	return int(at-arena) / mm.PageSize
}

// access performs one access. It reports false when it ends the guest.
func (m *model) access(q *decode.Request) bool {
	switch q.Kind {
	case decode.ReadPort:
		m.o.Log = append(m.o.Log, touched{Size: q.Size})
		m.e.Feed(answerOf(0))
		return true
	case decode.WritePort:
		m.o.Log = append(m.o.Log, touched{true, 0, q.Size, q.Value})
		return true
	}
	at := m.e.Operands()[q.Operand].Addr
	n, last := m.number(at), m.number(at+uint64(q.Size)-1)
	if n >= 0 && n == last && m.c.kinds[n] == pageDevice {
		t := touched{q.Kind == decode.WriteMem, at - arena, q.Size, q.Value}
		if m.o.Log = append(m.o.Log, t); q.Kind == decode.ReadMem {
			m.o.Log[len(m.o.Log)-1].Val = 0
			m.e.Feed(answerOf(at - arena))
		}
		return true
	}
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], q.Value)
	for i := range uint64(q.Size) {
		n, p := m.number(at+i), &b[i]
		ram := n >= 0 && isRAM(m.c.kinds[n])
		switch {
		case q.Kind == decode.ReadMem && ram:
			*p = *m.byte(n, at+i)
		case q.Kind == decode.ReadMem:
			*p = 0xff
		case ram && m.c.kinds[n] == pageROM: // stays
		case ram:
			*m.byte(n, at+i) = *p
		}
	}
	if q.Kind == decode.ReadMem {
		m.e.Feed(binary.LittleEndian.Uint64(b[:]))
	}
	return true
}
