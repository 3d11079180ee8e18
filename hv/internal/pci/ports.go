// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pci

import (
	"sync/atomic"

	"ringo/hv/abi"
)

// Channels of IDE controllers that are in compatibility mode have the ports and the
// interrupts of the AT's, which no register names (PCI IDE Controller Specification,
// revision 1.0, "Compatibility mode"). They are shown as base addresses 2n and 2n+1 of
// channel n.
const classIDE = 0x0101

var atPorts = [2][2]abi.PCIBAR{
	{{Addr: 0x1f0, Size: 8, Flags: fixedPorts}, {Addr: 0x3f6, Size: 1, Flags: fixedPorts}},
	{{Addr: 0x170, Size: 8, Flags: fixedPorts}, {Addr: 0x376, Size: 1, Flags: fixedPorts}},
}

const (
	fixedPorts = abi.BARPresent | abi.BARPort | abi.BARFixed
	atIRQ      = 14 // of channel 0; that of the other one is the next
)

// compatible reports whether a function has a channel in compatibility mode.
func compatible(f *abi.PCIFunction, channel uint64) bool {
	return f.Header == 0 && f.Class>>8 == classIDE && channel < 2 && f.Class>>(2*channel)&1 == 0
}

// fixed takes up the ports of such channels, whatever the registers say.
func fixed(f *abi.PCIFunction) {
	for n := range atPorts {
		if compatible(f, uint64(n)) {
			f.BAR[2*n], f.BAR[2*n+1] = atPorts[n][0], atPorts[n][1]
		}
	}
}

// PortRange is the I/O ports of a base address, on dom0's bus from the beginning, where
// they are nobody's until dom0 has mapped them.
type PortRange struct {
	host  *Host
	first uint16
	open  atomic.Bool
	busy  atomic.Int32 // accesses that are being made
}

// owner is the function and the base address that ports are of.
type owner struct {
	function int
	bar      uint64
}

// OfferPorts puts the ports on dom0's bus by which functions can be reached. add fails
// where something else has them.
//
// Preconditions: Connect was called; no vCPU of dom0 has run.
func (t *Table) OfferPorts(add func(first uint16, size uint64, p *PortRange) error) {
	t.offered = map[owner]*PortRange{}
	for i := range t.Functions {
		f := &t.Functions[i]
		if !givable(f) {
			continue
		}
		for bar := range f.BAR {
			b := &f.BAR[bar]
			if b.Flags&abi.BARPort == 0 || b.Addr == 0 || b.Size == 0 || b.Addr+b.Size > 1<<16 || t.keptPorts(b) {
				continue
			}
			p := &PortRange{host: &t.host, first: uint16(b.Addr)}
			if add(p.first, b.Size, p) == nil {
				t.offered[owner{i, uint64(bar)}] = p
			}
		}
	}
}

// keptPorts reports whether a base address has ports of the board's, of the
// hypervisor's, or of a function that dom0 cannot have.
func (t *Table) keptPorts(b *abi.PCIBAR) bool {
	if b.Flags&abi.BARFixed != 0 {
		return false
	}
	for _, k := range t.host.KeptPorts {
		if b.Addr < uint64(k[1]) && uint64(k[0]) < b.Addr+b.Size {
			return true
		}
	}
	for i := range t.Functions {
		if f := &t.Functions[i]; !givable(f) {
			for _, o := range f.BAR {
				if o.Flags&abi.BARPort != 0 && o.Addr != 0 && b.Addr < o.Addr+max(o.Size, 1) && o.Addr < b.Addr+b.Size {
					return true
				}
			}
		}
	}
	return false
}

// openPorts lets dom0 have the ports of a base address.
//
// Preconditions: t.mu is held, the function is dom0's.
func (t *Table) openPorts(i int, bar uint64) abi.Status {
	p := t.offered[owner{i, bar}]
	if p == nil {
		return abi.Denied
	}
	p.open.Store(true)
	t.devices[i].mapped |= 1 << bar
	t.command(t.Functions[i].Addr, 0, commandPort)
	return abi.OK
}

// close takes ports back, and reports whether nobody is at them any more.
func (p *PortRange) close() (done bool) {
	p.open.Store(false)
	return p.busy.Load() == 0
}

// Read is an access of dom0's (package bus).
func (p *PortRange) Read(off uint64, size uint8, _ uint64) uint64 {
	v := ^uint64(0)
	p.busy.Add(1)
	if p.open.Load() {
		v = uint64(p.host.In(p.first+uint16(off), size))
	}
	p.busy.Add(-1)
	return v
}

// Write is an access of dom0's.
func (p *PortRange) Write(off uint64, size uint8, v, _ uint64) {
	p.busy.Add(1)
	if p.open.Load() {
		p.host.Out(p.first+uint16(off), size, uint32(v))
	}
	p.busy.Add(-1)
}
