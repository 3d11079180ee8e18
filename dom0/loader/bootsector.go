// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package loader

import (
	"bytes"
	"fmt"
	"io"

	"ringo/dom0/board"
	"ringo/hv/abi"
)

// A boot sector, or more code behind it, runs in real mode where a BIOS puts it. The
// interrupt vectors lead to code that says on the debug port that there is no BIOS,
// and stops: a program that brings its own handlers runs, one that calls services
// says why it does not.
const (
	sectorAt  GPA = 0x7c00
	sectorLen     = 512
	sectorMax     = board.LowEnd - uint64(sectorAt)
	// stubsAt is where the vectors lead: in memory that is not the guest's RAM.
	stubsAt = board.ACPIBase - 0x1000
	stubLen = 5
	vectors = 256
)

// isBootSector reports whether a file begins with the signature of one.
func isBootSector(b []byte) bool {
	return len(b) >= sectorLen && b[sectorLen-2] == 0x55 && b[sectorLen-1] == 0xaa
}

// loadBootSector puts a boot sector into memory, with all that follows it.
func (g *guest) loadBootSector(src Source) (*image, error) {
	if size := uint64(src.Size); size > sectorMax {
		return nil, fmt.Errorf("is an image of a disk (%s with a boot sector), which a BIOS boots: use firmware = \"bios\"", amount(size))
	}
	img := &image{protocol: bootSector, entry: sectorAt, start: sectorAt, end: board.OneMiB}
	return img, g.fill(sectorAt, uint64(src.Size), io.NewSectionReader(src.R, 0, src.Size))
}

// startBootSector makes the vectors and returns the state at the entry (BIOS Boot
// Specification 1.01, "IPL"): all segments 0. There is no drive that DL could name.
func (g *guest) startBootSector() (abi.VCPUContext, error) {
	ivt := record(make([]byte, vectors*4))
	for v := range vectors {
		ivt.put16(4*v, uint16(v*stubLen))
		ivt.put16(4*v+2, stubsAt>>4)
	}
	if err := g.write(0, ivt); err != nil {
		return abi.VCPUContext{}, err
	}
	if err := g.write(stubsAt, stubs()); err != nil {
		return abi.VCPUContext{}, err
	}
	c := abi.VCPUContext{
		RIP: uint64(sectorAt), RFLAGS: flagsReserved, CR0: cr0ET, PAT: patReset,
		GDTLimit: 0xffff, IDTLimit: vectors*4 - 1, Online: 1,
	}
	for i := range c.Seg {
		c.Seg[i] = abi.Segment{Access: accessReal, Limit: 0xffff}
	}
	c.Seg[segCS].Access = accessReal | 8 // code
	c.Seg[segLDTR].Access, c.Seg[segTR].Access = accessNone, accessTSS
	c.GPR[rsp] = uint64(sectorAt)
	return c, nil
}

// accessReal is a data segment of real mode: 64 KiB, in bytes.
const accessReal = 0x93

// stubs is the code behind the vectors: each pushes its number, and what they share
// prints that.
func stubs() []byte {
	var b bytes.Buffer
	const common = vectors * stubLen
	for v := range vectors {
		rel := common - (v+1)*stubLen
		b.Write([]byte{0x6a, byte(v), 0xe9, byte(rel), byte(rel >> 8)}) // push v; jmp common
	}
	code := []byte{
		0xfa,             // cli
		0x5b,             // pop bx
		0xba, 0x02, 0x04, // mov dx, debug port
		0xbe, 0, 0, // mov si, text
		0x2e, 0xac, // next: lodsb cs:[si]
		0x84, 0xc0, // test al, al
		0x74, 0x03, // jz number
		0xee,       // out dx, al
		0xeb, 0xf7, // jmp next
		0x88, 0xd8, // number: mov al, bl
		0xd4, 0x10, // aam 16
		0x88, 0xc3, // mov bl, al
		0x88, 0xe0, // mov al, ah
		0xe8, 0x0b, 0x00, // call digit
		0x88, 0xd8, // mov al, bl
		0xe8, 0x06, 0x00, // call digit
		0xb0, '\n', 0xee, // mov al, '\n'; out dx, al
		0xf4,       // stop: hlt
		0xeb, 0xfd, // jmp stop
		0x3c, 0x0a, // digit: cmp al, 10
		0x1c, 0x69, // sbb al, 0x69
		0x2f, // das
		0xee, // out dx, al
		0xc3, // ret
	}
	text := common + len(code)
	code[6], code[7] = byte(text), byte(text>>8)
	b.Write(code)
	b.WriteString("no handler: this program needs a BIOS (firmware = \"bios\"); interrupt 0x\x00")
	return b.Bytes()
}
