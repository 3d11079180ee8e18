// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package abi

import (
	"testing"
	"unsafe"
)

// A structure passed by guest physical address may not cross a page, and the
// two sides are built separately: sizes are part of the contract.
func TestSizes(t *testing.T) {
	for _, c := range []struct {
		name string
		got  uintptr
		want uintptr
	}{
		{"SharedInfo", unsafe.Sizeof(SharedInfo{}), 152},
		{"CreateArgs", unsafe.Sizeof(CreateArgs{}), 136},
		{"Extent", unsafe.Sizeof(Extent{}), 24},
		{"ExtentList", unsafe.Sizeof(ExtentList{}), 16 + 127*24},
		{"IOReq", unsafe.Sizeof(IOReq{}), 64},
		{"IOReqPage", unsafe.Sizeof(IOReqPage{}), 4096},
		{"TraceRecord", unsafe.Sizeof(TraceRecord{}), 32},
		{"PCIFunction", unsafe.Sizeof(PCIFunction{}), 168},
		{"ExitCounts", unsafe.Sizeof(ExitCounts{}), 1288},
	} {
		if c.got != c.want {
			t.Errorf("%s is %d bytes, want %d", c.name, c.got, c.want)
		}
	}
	for name, n := range map[string]uintptr{
		"VCPUContext": unsafe.Sizeof(VCPUContext{}),
		"DomainInfo":  unsafe.Sizeof(DomainInfo{}),
		"HostInfo":    unsafe.Sizeof(HostInfo{}),
	} {
		if n > 4096 || n%8 != 0 {
			t.Errorf("%s is %d bytes: more than a page, or not a multiple of 8", name, n)
		}
	}
}

func TestStatusText(t *testing.T) {
	for s := OK; s < NumStatus; s++ {
		if s.Error() == "" {
			t.Errorf("status %d has no text", s)
		}
	}
}
