// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"unsafe"

	"ringo/boot/kernel"
	"ringo/mm"
)

// Guest code in assembly; see torture_amd64.s and bench_amd64.s. None of it is
// called here.
func tortureCode()
func benchEmpty()
func benchCPUID()
func benchRDMSR()
func benchOUT()
func benchVMMCALL()

// entry returns the address of the n-th of the functions above.
func entry(n int) uintptr

const (
	codeTorture = iota
	codeEmpty
	codeCPUID
	codeRDMSR
	codeOUT
	codeVMMCALL
)

// text returns a copy of guest code n, with whatever follows it.
func text(n int) []byte {
	// SAFETY: the code lies in this program's text, and 4 KiB behind it is text
	// or read-only data of the same image.
	return append([]byte(nil), unsafe.Slice((*byte)(unsafe.Add(nil, entry(n))), 4096)...)
}

// bytes is the memory of a guest.
func (h *harness) bytes(ram mm.HPA) []byte {
	// SAFETY: the direct map covers the arena, which this program owns.
	return unsafe.Slice((*byte)(unsafe.Add(nil, kernel.Phys(ram))), ramSize)
}
