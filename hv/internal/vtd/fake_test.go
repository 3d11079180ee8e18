// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vtd

import (
	"fmt"

	"ringo/hv/internal/iommu/iommutest"
	"ringo/mm"
)

// fake is a unit as the manual has it: it does commands, works off its queue when the
// tail moves, and keeps a log of both.
type fake struct {
	iommutest.Registers
	h   *iommutest.Host
	log []string
	// stuck: the queue is not worked off.
	stuck bool
	fsts  uint32 // fault status, whose bits ones clear
}

const (
	fakeCap  = 0xd2008c22260206 // QEMU 7.2
	fakeECap = 0xf00f4a
)

func newFake(h *iommutest.Host, caps, ecap uint64) *fake {
	f := &fake{h: h}
	f.Set(regVersion, 0x10)
	f.Set(regCap, caps)
	f.Set(regECap, ecap)
	f.Behave = f.behave
	return f
}

var commandNames = []struct {
	bit  uint32
	name string
}{
	{gTranslate, "translate"}, {gSetRoot, "root"}, {gWriteBack, "write back"}, {gQueue, "queue"},
	{gRemap, "remap"}, {gSetIRTA, "irt"}, {gCompatible, "compatible"},
}

func (f *fake) behave(reg uint32, v uint64) {
	switch reg {
	case regGCmd:
		f.command(uint32(v))
	case regCCmd, f.iotlb():
		if v>>63 != 0 {
			f.log = append(f.log, fmt.Sprintf("register %#x %#x", reg, v))
			f.Set(reg, v&^(1<<63))
		}
	case regQueueTail:
		f.work()
	case regFSts:
		f.status(f.fsts &^ (uint32(v) & fstsClear))
	}
	if base := uint32(0x220); reg >= base && reg < base+0x100 && (reg-base)%16 == 12 && v&frcdFault != 0 {
		f.Words[reg] = uint32(v) &^ frcdFault
		f.status(f.fsts &^ fstsPending)
	}
}

func (f *fake) iotlb() uint32 { return uint32(f.Get(regECap)>>8&0x3ff)*16 + 8 }

// status sets the fault status.
func (f *fake) status(v uint32) { f.fsts, f.Words[regFSts] = v, v }

// command checks that a command changes one thing and repeats the states.
func (f *fake) command(v uint32) {
	is := f.Words[regGSts]
	for _, c := range commandNames {
		oneShot := c.bit&gSticky == 0
		switch on := v&c.bit != 0; {
		case oneShot && on && c.bit == gWriteBack:
			f.log = append(f.log, c.name)
		case oneShot && on:
			f.log = append(f.log, c.name)
			f.Words[regGSts] |= c.bit
		case !oneShot && on != (is&c.bit != 0):
			f.log = append(f.log, fmt.Sprintf("%s %v", c.name, on))
			f.Words[regGSts] ^= c.bit
		}
	}
}

// work does what is in the queue.
func (f *fake) work() {
	if f.stuck || f.Words[regGSts]&gQueue == 0 {
		return
	}
	queue := mm.HPA(f.Get(regQueue) &^ 0xfff)
	for at := f.Get(regQueueHead); at != f.Get(regQueueTail); at = (at + 16) % mm.PageSize {
		lo, hi := f.h.Mem.Load64(queue+mm.HPA(at)), f.h.Mem.Load64(queue+mm.HPA(at)+8)
		switch {
		case lo&15 == invWait && lo&waitWrite != 0:
			word := mm.HPA(hi)
			f.h.Mem.Store64(word, f.h.Mem.Load64(word)&^0xffffffff|lo>>32)
		default:
			f.log = append(f.log, fmt.Sprintf("%#x %#x", lo, hi))
		}
		f.Set(regQueueHead, (at+16)%mm.PageSize)
	}
}

// take returns the log, and empties it.
func (f *fake) take() []string {
	l := f.log
	f.log = nil
	return l
}

// record puts a fault into a record.
func (f *fake) record(n uint32, source uint16, code uint8, addr uint64, read bool) {
	at := uint32(0x220) + 16*n
	hi := uint64(source) | uint64(code)<<32 | 0xffff<<40 | 1<<63 // as QEMU
	hi &^= frcdRead
	if read {
		hi |= frcdRead
	}
	f.Set(at, addr)
	f.Set(at+8, hi)
	f.status(fstsPending | n<<8)
}
