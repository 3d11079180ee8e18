// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package run

import (
	"encoding/binary"

	"ringo/hv/decode"
	"ringo/hv/internal/part"
	"ringo/hv/x86"
	"ringo/mm"
	"ringo/mm/gwalk"
)

// knownInsns is the number of instructions that a CPU remembers, a power of two.
const knownInsns = 32

// known is an instruction that was decoded before. Bytes and mode decide what it
// is, and are compared: nothing needs to know when code changes.
type known struct {
	low, high uint64 // the 15 bytes
	mode      decode.Mode
	insn      decode.Insn // Len 0: nothing is known
}

// fetch reads the bytes at CS:RIP and returns their number. When it reports
// false, the fault is on its way.
func (e *emulator) fetch() (int, bool) {
	at := e.s.RIP
	if e.s.Mode.Code != 64 {
		at = (e.s.Base[x86.CS] + at) & 0xffff_ffff
	}
	acc := gwalk.Fetch
	if e.user {
		acc |= gwalk.User
	}
	n, f := e.ram.Fetch(&e.regime, e.code[:decode.MaxLen], mm.GVA(at), acc)
	if n == 0 {
		e.inject(f, x86.CS)
		return 0, false
	}
	return n, true
}

// decode decodes the instruction in the n bytes that were fetched. It stands
// until the next one is decoded.
func (e *emulator) decode(n int) (*decode.Insn, error) {
	low, high := binary.LittleEndian.Uint64(e.code[:8]), binary.LittleEndian.Uint64(e.code[8:])
	k := &e.known[e.s.RIP%knownInsns]
	if n == decode.MaxLen && k.low == low && k.high == high && k.mode == e.s.Mode && k.insn.Len != 0 {
		return &k.insn, nil
	}
	insn, err := decode.Decode(e.code[:n], e.s.Mode)
	if err != nil {
		return nil, err
	}
	*k = known{low, high, e.s.Mode, insn}
	if n != decode.MaxLen {
		k.mode = decode.Mode{} // some of the bytes are older ones
	}
	return &k.insn, nil
}

// exiting returns v's instruction if it is one that exits by itself. If not, the
// guest must go on: another vCPU has changed the bytes, or a fault is on its way.
func (e *emulator) exiting(v *part.VCPU) *decode.Insn {
	e.take(v)
	n, ok := e.fetch()
	if !ok {
		return nil
	}
	i, err := e.decode(n)
	if err != nil || !i.Exiting() {
		return nil
	}
	return i
}
