// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package loader

import (
	"encoding/binary"
	"fmt"
	"io"

	"ringo/dom0/account"
	"ringo/dom0/board"
	"ringo/hv/abi"
)

// guest is the memory that one Load fills.
type guest struct {
	mem     Guest
	layout  []abi.MemRange
	account *account.Account
	dry     bool   // for Try: there is no memory
	boot    GPA    // what is added to the addresses of boot structures
	held    func() // gives back what unpacking reserved; nil: nothing
}

// release gives back what unpacking the kernel reserved.
func (g *guest) release() {
	if g.held != nil {
		g.held()
		g.held = nil
	}
}

// covered reports whether [a, a+n) lies within one range of type RAM.
func (g *guest) covered(a GPA, n uint64) bool {
	for _, r := range g.layout {
		if r.Type == abi.MemRAM && uint64(a) >= r.Start && uint64(a)-r.Start <= r.Size && n <= r.Size-(uint64(a)-r.Start) {
			return true
		}
	}
	return false
}

// lowTop is the end of RAM below 4 GiB.
func (g *guest) lowTop() (top GPA) {
	for _, r := range g.layout {
		if r.Type == abi.MemRAM && r.Start < board.HoleBase {
			top = GPA(r.Start + r.Size)
		}
	}
	return top
}

// highTop is the end of RAM above 4 GiB, or 0 without such.
func (g *guest) highTop() GPA {
	for _, r := range g.layout {
		if r.Start == board.HighBase {
			return GPA(r.Start + r.Size)
		}
	}
	return 0
}

// each calls f with the pieces of [a, a+n) in ascending order. A dry guest has none.
func (g *guest) each(a GPA, n uint64, f func(b []byte) error) error {
	if g.dry {
		return nil
	}
	for n > 0 {
		b := g.mem.RAM(a, n)
		if len(b) == 0 || uint64(len(b)) > n {
			return fmt.Errorf("guest memory at %#x is not there", uint64(a))
		}
		if err := f(b); err != nil {
			return err
		}
		a += GPA(len(b))
		n -= uint64(len(b))
	}
	return nil
}

// write copies b to a.
func (g *guest) write(a GPA, b []byte) error {
	return g.each(a, uint64(len(b)), func(dst []byte) error {
		b = b[copy(dst, b):]
		return nil
	})
}

// read copies n bytes from a.
func (g *guest) read(a GPA, n uint64) ([]byte, error) {
	out := make([]byte, 0, n)
	err := g.each(a, n, func(b []byte) error {
		out = append(out, b...)
		return nil
	})
	return out, err
}

// fill reads exactly n bytes from r into memory at a.
func (g *guest) fill(a GPA, n uint64, r io.Reader) error {
	return g.each(a, n, func(b []byte) error {
		_, err := io.ReadFull(r, b)
		return err
	})
}

// zero clears n bytes at a.
func (g *guest) zero(a GPA, n uint64) error {
	return g.each(a, n, func(b []byte) error {
		clear(b)
		return nil
	})
}

// record builds a structure of known size from little-endian fields.
type record []byte

func (r record) put8(off int, v uint8)   { r[off] = v }
func (r record) put16(off int, v uint16) { binary.LittleEndian.PutUint16(r[off:], v) }
func (r record) put32(off int, v uint32) { binary.LittleEndian.PutUint32(r[off:], v) }
func (r record) put64(off int, v uint64) { binary.LittleEndian.PutUint64(r[off:], v) }
