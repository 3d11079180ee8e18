// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package hosttest is what the tests of both backends need on a development
// machine: memory to build vCPUs in, and checks of the assembly sources against
// the Go runtime and GNU as.
package hosttest

import (
	"errors"
	"syscall"
	"testing"
	"unsafe"

	"ringo/hv/vcpu"
	"ringo/mm"
	"ringo/mm/phys"
)

// Env is a hypervisor's memory in a test: pages from a mapping outside the
// Go heap, handed out in order, checked when they come back.
type Env struct {
	vcpu.Env
	// Fail makes Pages fail.
	Fail bool
	// Owned is the number of pages of each block that is out.
	Owned map[mm.HPA]int
	T     *testing.T

	next mm.HPA
}

const memory = 8 * mm.MiB

// NewEnv makes an Env with 8 MiB, until the end of the test.
func NewEnv(t *testing.T) *Env {
	mem, err := syscall.Mmap(-1, 0, memory, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Munmap(mem) })
	// SAFETY: mem is mapped until the test has ended, and not by the Go heap.
	d := phys.NewDirect(uintptr(unsafe.Pointer(&mem[0])), memory)
	e := &Env{T: t, next: mm.PageSize, Owned: map[mm.HPA]int{}}
	e.Phys, e.Virt, e.Pages, e.Release = d, d.Virt, e.pages, e.release
	return e
}

// Leave leaves n pages to hand out.
func (e *Env) Leave(n int) { e.next = memory - mm.HPA(n*mm.PageSize) }

func (e *Env) pages(n int) (mm.HPA, error) {
	a := e.next
	if e.Fail || a+mm.HPA(n*mm.PageSize) > memory {
		return 0, errors.New("no memory")
	}
	e.next += mm.HPA(n * mm.PageSize)
	e.Owned[a] = n
	return a, nil
}

func (e *Env) release(a mm.HPA, n int) {
	if e.Owned[a] != n {
		e.T.Errorf("release of %d pages at %#x: not owned so", n, a)
	}
	delete(e.Owned, a)
	for w := a; w < a+mm.HPA(n*mm.PageSize); w += 8 {
		if v := e.Phys.Load64(w); v != 0 {
			e.T.Errorf("released without scrubbing: %#x at %#x", v, w)
			return
		}
	}
}

// AllocTable and FreeTable make Env a pt.Allocator.
func (e *Env) AllocTable() (mm.HPA, error) { return e.pages(1) }

// FreeTable implements pt.Allocator.
func (e *Env) FreeTable(mm.HPA) {}
