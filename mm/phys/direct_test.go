// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package phys_test

import (
	"bytes"
	"syscall"
	"testing"
	"unsafe"

	"ringo/mm"
	"ringo/mm/phys"
	"ringo/mm/phys/phystest"
)

const size = 8 * mm.PageSize

// direct returns a direct map over anonymous memory outside the Go heap.
func direct(t *testing.T) *phys.Direct {
	t.Helper()
	b, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Munmap(b) })
	return phys.NewDirect(uintptr(unsafe.Pointer(&b[0])), size)
}

// TestMemory runs the same accesses on every implementation: the fake must not
// differ from the real thing.
func TestMemory(t *testing.T) {
	for name, m := range map[string]phys.Memory{
		"direct":   direct(t),
		"phystest": phystest.New(t).Declare(0, size),
	} {
		t.Run(name, func(t *testing.T) { conform(t, m) })
	}
}

func conform(t *testing.T, m phys.Memory) {
	const a = mm.HPA(mm.PageSize)
	m.Store64(a, 0x1122334455667788)
	if got := m.Load64(a); got != 0x1122334455667788 {
		t.Errorf("Load64 = %#x", got)
	}
	b := make([]byte, 3)
	m.Read(a+1, b)
	if !bytes.Equal(b, []byte{0x77, 0x66, 0x55}) {
		t.Errorf("Read = %x: not little-endian", b)
	}
	m.Write(a+6, []byte{1, 2, 3, 4})
	if got := [2]uint64{m.Load64(a), m.Load64(a + 8)}; got != [2]uint64{0x0201334455667788, 0x0403} {
		t.Errorf("after Write: %#x", got)
	}
	if m.CompareAndSwap64(a, 1, 2) || m.Load64(a) != 0x0201334455667788 {
		t.Error("CompareAndSwap64 swapped a different value")
	}
	if !m.CompareAndSwap64(a, 0x0201334455667788, 2) || m.Load64(a) != 2 {
		t.Error("CompareAndSwap64 did not swap")
	}
	m.Store64(2*a, 7)
	two, seven := phys.Word{At: a, Mask: 0xff, Value: 2}, phys.Word{At: 2 * a, Mask: ^uint64(0), Value: 7}
	if !m.Match([]phys.Word{two, seven}) || !m.Match(nil) {
		t.Error("Match does not see what is there")
	}
	eight := seven
	eight.Value = 8
	if m.Match([]phys.Word{two, eight}) || m.Match([]phys.Word{eight, two}) {
		t.Error("Match sees what is not there")
	}
	m.Store64(3*a, 8)
	m.Zero(a, 2*mm.PageSize)
	if m.Load64(a) != 0 || m.Load64(a+8) != 0 || m.Load64(2*a) != 0 || m.Load64(3*a) != 8 {
		t.Error("Zero cleared too little or too much")
	}
	page := bytes.Repeat([]byte{0xa5}, 3*mm.PageSize-10)
	m.Write(5, page)
	got := make([]byte, len(page))
	m.Read(5, got)
	if !bytes.Equal(got, page) {
		t.Error("Read differs from Write across pages")
	}
}

func TestDirectPointers(t *testing.T) {
	d := direct(t)
	d.Words(8, 2)[1] = 0x04030201
	if got := d.Bytes(12, 4); !bytes.Equal(got, []byte{1, 2, 3, 4}) {
		t.Errorf("Bytes = %x", got)
	}
	if got := d.Virt(12) - d.Virt(0); got != 12 {
		t.Errorf("Virt is off by %d", got)
	}
	if d.Size() != size || d.Virt(size)-d.Virt(0) != size {
		t.Error("the end of the map is not its size")
	}
}

func TestDirectRefuses(t *testing.T) {
	d := direct(t)
	for name, f := range map[string]func(){
		"beyond":          func() { d.Load64(size) },
		"far beyond":      func() { d.Load64(^mm.HPA(7)) },
		"across the end":  func() { d.Bytes(size-4, 5) },
		"wrapping length": func() { d.Bytes(8, ^uint64(0)) },
		"wrapping words":  func() { d.Words(0, 1<<62) },
		"match beyond":    func() { d.Match([]phys.Word{{At: size}}) },
		"match unaligned": func() { d.Match([]phys.Word{{At: 4}}) },
		"unaligned":       func() { d.Store64(4, 0) },
		"unaligned words": func() { d.Words(2, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			f()
		})
	}
}

func TestDirectDoesNotAllocate(t *testing.T) {
	var m phys.Memory = direct(t)
	b := make([]byte, 16)
	if n := testing.AllocsPerRun(100, func() {
		m.Store64(0, m.Load64(8)+1)
		m.CompareAndSwap64(0, 1, 2)
		m.Read(16, b)
		m.Write(32, b)
		m.Zero(mm.PageSize, mm.PageSize)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
