// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pcihost

import "testing"

// Slot 1 may have further functions, which are found, decoded and share its line; other
// slots have one.
func TestFurther(t *testing.T) {
	r := newRig()
	all := r.Functions()
	at := func(slot, number, reg uint64) uint64 {
		return all.Read(slot*SlotSize+number*FunctionSize+reg, 4, 0) & 0xffff_ffff
	}
	for slot := range uint64(32) {
		for number := range uint64(8) {
			if v := at(slot, number, 0); number > 0 && v != 0xffff_ffff {
				t.Errorf("slot %d, function %d: %#x", slot, number, v)
			}
		}
	}
	if v := at(1, 0, regHeader&^3) >> 16 & 0xff; v != 0 {
		t.Errorf("header type %#x", v)
	}
	d := &dev{nr: 3}
	f := NewFunction(Identity{Vendor: 0x1af4, Device: 0x1043})
	f.AddPin()
	f.AddBAR(0, 0x1000, false, d)
	r.Add(Further+2, f)
	if v := at(1, 3, 0); v != 0x1043_1af4 || at(1, 1, 0) != 0xffff_ffff || at(9, 3, 0) != 0xffff_ffff {
		t.Errorf("function 3: %#x", v)
	}
	if v := at(1, 0, regHeader&^3) >> 16 & 0xff; v != headerMulti {
		t.Errorf("header type %#x", v)
	}
	all.Write(1*SlotSize+3*FunctionSize+regCommand, 2, commandMemory, 0)
	bar := at(1, 3, regBAR)
	if v := r.Memory().Read(bar-MemBase+8, 4, 0); v != 3<<32|8 {
		t.Errorf("at %#x it reads %#x", bar, v)
	}
	all.Write(1*SlotSize+2*FunctionSize+regCommand, 2, commandMemory, 0)
	if f.SetINTx(true); !r.p.lines[GSI(1, 0)] {
		t.Error("its line is low")
	}
	r.f[0].SetINTx(true)
	f.SetINTx(false)
	if !r.p.lines[GSI(1, 0)] {
		t.Error("the other function's line is low")
	}
}
