// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package run

import (
	"errors"

	"ringo/hv/decode"
	"ringo/hv/internal/part"
	"ringo/hv/x86"
	"ringo/mm"
	"ringo/mm/gwalk"
)

// knownInsns is the number of instructions that a CPU remembers, a power of two.
const knownInsns = 32

// known is an instruction that was fetched and decoded before. It is still that
// one if everything is the same that it follows from: its linear address, paging
// and mode, and, by its trail, the page tables' entries and the bytes.
type known struct {
	at    mm.GVA
	cr3   uint64
	key   uint64
	mode  decode.Mode
	insn  decode.Insn
	trail part.Trail
}

// errFault: the instruction cannot be fetched, and the fault is on its way.
var errFault = errors.New("run: no instruction")

// instruction fetches and decodes the instruction at CS:RIP. It stands until the
// next one is fetched.
func (e *emulator) instruction() (*decode.Insn, error) {
	at, acc := e.next()
	k, key := &e.known[(uint64(at)^e.regime.CR3/mm.PageSize)%knownInsns], e.regime.Key(acc)
	if k.at == at && k.cr3 == e.regime.CR3 && k.key == key && k.mode == e.s.Mode && e.ram.Holds(&k.trail) {
		return &k.insn, nil
	}
	return e.learn(k)
}

// next is where the next instruction is, and the access that fetches it.
func (e *emulator) next() (at mm.GVA, acc gwalk.Access) {
	at, acc = mm.GVA(e.s.RIP), gwalk.Fetch
	if e.s.Mode.Code != 64 {
		at = mm.GVA(uint32(e.s.Base[x86.CS] + e.s.RIP))
	}
	if e.user {
		acc |= gwalk.User
	}
	return at, acc
}

// learn reads and decodes the next instruction: the next page only if it goes
// on there.
func (e *emulator) learn(k *known) (*decode.Insn, error) {
	at, acc := e.next() // again: kept, they would cost each instruction that is known
	k.at, k.cr3, k.key, k.mode = at, e.regime.CR3, e.regime.Key(acc), e.s.Mode
	k.trail = part.Trail{}
	here := int(min(decode.MaxLen, mm.PageSize-k.at%mm.PageSize))
	if !e.bytes(e.code[:here], k.at, acc) {
		return nil, errFault
	}
	var err error
	k.insn, err = decode.Decode(e.code[:here], k.mode)
	if err == decode.ErrShort {
		next := k.at + mm.GVA(here)
		if k.mode.Code != 64 {
			next &= 0xffff_ffff
		}
		if !e.bytes(e.code[here:], next, acc) {
			return nil, errFault
		}
		k.insn, err = decode.Decode(e.code[:], k.mode)
	}
	if err != nil {
		return nil, err
	}
	e.ram.Code(&e.regime, k.at, acc, e.code[:k.insn.Len], &k.trail)
	return &k.insn, nil
}

// bytes reads bytes of the instruction. When it reports false, the fault is on its
// way.
func (e *emulator) bytes(b []byte, at mm.GVA, acc gwalk.Access) bool {
	n, f := e.regime.ReadVirtual(&e.ram, b, at, acc)
	if n < len(b) {
		e.inject(f, x86.CS)
	}
	return n == len(b)
}

// exiting returns v's instruction if it is one that exits by itself. If not, the
// guest must go on: another vCPU has changed the bytes, or a fault is on its way.
func (e *emulator) exiting(v *part.VCPU) *decode.Insn {
	e.take(v)
	i, err := e.instruction()
	if err != nil || !i.Exiting() {
		return nil
	}
	return i
}
