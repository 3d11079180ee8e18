// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package nvmetest

// Size implements reg.Window.
func (d *Device) Size() uint32 { return 16 << 10 }

// Read8 is not what a driver of this device uses.
func (d *Device) Read8(uint32) uint8 { panic("nvmetest: access of one byte") }

// Read16 is not what a driver of this device uses.
func (d *Device) Read16(uint32) uint16 { panic("nvmetest: access of two bytes") }

// Write8 is not what a driver of this device uses.
func (d *Device) Write8(uint32, uint8) { panic("nvmetest: access of one byte") }

// Write16 is not what a driver of this device uses.
func (d *Device) Write16(uint32, uint16) { panic("nvmetest: access of two bytes") }

// Read64 implements reg.Window.
func (d *Device) Read64(off uint32) (v uint64) {
	return uint64(d.Read32(off)) | uint64(d.Read32(off+4))<<32
}

// Read32 implements reg.Window.
func (d *Device) Read32(off uint32) uint32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.vanished {
		return ^uint32(0)
	}
	switch off {
	case 0:
		return uint32(d.Entries-1) | 1<<16 | 4<<24
	case 4:
		return 1 << 5 // stride 4, the NVM command set, pages of 4 KiB
	}
	return d.regs[off]
}

// Write64 implements reg.Window.
func (d *Device) Write64(off uint32, v uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.regs[0x14]&1 != 0 {
		d.wrong("register %#x is written while the device is enabled", off)
	}
	switch off {
	case 0x28:
		d.asq = v
	case 0x30:
		d.acq = v
	default:
		d.wrong("eight bytes to register %#x", off)
	}
}

// Write32 implements reg.Window.
func (d *Device) Write32(off uint32, v uint32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.vanished:
	case off >= 0x1000:
		d.bell((off-0x1000)/8, (off-0x1000)/4&1 == 1, v)
	case off == 0x14:
		d.control(v)
	case off == 0x24 && d.regs[0x14]&1 != 0:
		d.wrong("AQA is written while the device is enabled")
	default:
		d.regs[off] = v
	}
}

// control is a write to CC.
func (d *Device) control(v uint32) {
	was := d.regs[0x14]
	d.regs[0x14] = v
	switch {
	case d.stuck:
	case v&1 == 0:
		d.regs[0x1c] = 0
		clear(d.pairs)
		clear(d.cqs)
		clear(d.dropped)
	case was&1 == 0:
		if v>>16&15 != 6 || v>>20&15 != 4 || v>>7&15 != 0 {
			d.wrong("enabled with %#x", v)
		}
		d.resets++
		d.regs[0x1c] = 1
		aqa := d.regs[0x24]
		d.pairs[0] = &pair{base: d.asq, entries: int(aqa&0xfff) + 1}
		d.cqs[0] = &cqueue{base: d.acq, entries: int(aqa>>16&0xfff) + 1, phase: 1 << 16, vector: 0}
	}
	if v>>14&3 != 0 && !d.stuck {
		d.medium.Flush()
		d.regs[0x1c] |= 2 << 2
	}
}

// bell is a write to a doorbell.
func (d *Device) bell(queue uint32, completion bool, v uint32) {
	if completion {
		cq := d.cqs[uint16(queue)]
		if cq == nil || int(v) >= cq.entries {
			d.wrong("completion doorbell %d: %d", queue, v)
			return
		}
		cq.head = int(v)
		return
	}
	p := d.pairs[uint16(queue)]
	if p == nil || int(v) >= p.entries {
		d.wrong("submission doorbell %d: %d", queue, v)
		return
	}
	for p.head != int(v) {
		b := d.ram(p.base+uint64(p.head)*64, 64)
		p.head = (p.head + 1) % p.entries
		d.take(Command{
			Queue: uint16(queue), Op: b[0], ID: le.Uint16(b[2:]), Namespace: le.Uint32(b[4:]), PRP1: le.Uint64(b[24:]), PRP2: le.Uint64(b[32:]),
			D10: le.Uint32(b[40:]), D11: le.Uint32(b[44:]), D12: le.Uint32(b[48:]),
		})
	}
}
