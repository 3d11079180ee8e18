// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pt_test

import (
	"syscall"
	"testing"
	"unsafe"

	"ringo/mm"
	"ringo/mm/phys"
	"ringo/mm/pt"
)

// bump is a pt.Allocator that never gets anything back.
type bump struct{ next mm.HPA }

func (b *bump) AllocTable() (mm.HPA, error) { b.next += mm.PageSize; return b.next, nil }
func (b *bump) FreeTable(mm.HPA)            {}

// BenchmarkLookup walks four levels in real memory.
func BenchmarkLookup(b *testing.B) {
	buf, err := syscall.Mmap(-1, 0, mm.MiB, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		b.Fatal(err)
	}
	defer syscall.Munmap(buf)
	t, err := pt.New(pt.NPT(true), phys.NewDirect(uintptr(unsafe.Pointer(&buf[0])), mm.MiB), &bump{})
	if err != nil {
		b.Fatal(err)
	}
	if err := t.Map(0, 0, k4, pt.RWX); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		t.Lookup(5)
	}
}
