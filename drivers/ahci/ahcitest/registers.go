// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package ahcitest

// Size implements reg.Window.
func (d *Device) Size() uint32 { return 0x1000 }

// Read8 is not what a driver of this device uses.
func (d *Device) Read8(uint32) uint8 { panic("ahcitest: access of one byte") }

// Read16 is not what a driver of this device uses.
func (d *Device) Read16(uint32) uint16 { panic("ahcitest: access of two bytes") }

// Read64 is not what a driver of this device uses.
func (d *Device) Read64(uint32) uint64 { panic("ahcitest: access of eight bytes") }

// Write8 is not what a driver of this device uses.
func (d *Device) Write8(uint32, uint8) { panic("ahcitest: access of one byte") }

// Write16 is not what a driver of this device uses.
func (d *Device) Write16(uint32, uint16) { panic("ahcitest: access of two bytes") }

// Write64 is not what a driver of this device uses.
func (d *Device) Write64(uint32, uint64) { panic("ahcitest: access of eight bytes") }

// Read32 implements reg.Window.
func (d *Device) Read32(off uint32) uint32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.vanished {
		return ^uint32(0)
	}
	if off >= 0x100 {
		if i := (off - 0x100) / 0x80; int(i) < len(d.ports) {
			return d.readPort(&d.ports[i], off&0x7f)
		}
		return 0
	}
	switch off {
	case 0x00:
		return d.CAP
	case 0x04:
		return d.ghc
	case 0x08:
		return d.is
	case 0x0c:
		return 1<<len(d.ports) - 1
	case 0x24:
		return 1 // there is a hand-off
	case 0x28:
		return d.bohc
	}
	return 0
}

func (d *Device) readPort(p *port, off uint32) uint32 {
	switch off {
	case 0x10:
		return p.is
	case 0x14:
		return p.ie
	case 0x18:
		return p.cmd
	case 0x20:
		return p.tfd
	case 0x24:
		return p.sig
	case 0x28:
		if d.Drives[p.n] != nil && !p.down {
			return 0x113
		}
		return 0
	case 0x2c:
		return p.sctl
	case 0x30:
		return p.serr
	case 0x34:
		return p.sact
	case 0x38:
		return p.ci
	}
	return 0
}

// Write32 implements reg.Window.
func (d *Device) Write32(off uint32, v uint32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.vanished:
	case off >= 0x100:
		if i := (off - 0x100) / 0x80; int(i) < len(d.ports) {
			d.writePort(&d.ports[i], off&0x7f, v)
		}
	case off == 0x04 && d.stuck:
		d.ghc |= v
	case off == 0x04 && v&1 != 0:
		d.resetAll()
		d.ghc = 0
	case off == 0x04:
		d.ghc = v &^ 1
	case off == 0x08:
		d.is &^= v
		for i := range d.ports { // a level
			if p := &d.ports[i]; p.is&p.ie != 0 {
				d.raise(p, 0, false)
			}
		}
	case off == 0x28:
		if d.bohc = v; v&2 != 0 {
			d.bohc &^= 1
		}
	default:
		d.wrong("register %#x is written", off)
	}
}

func (d *Device) writePort(p *port, off, v uint32) {
	runs := p.cmd&1 != 0
	switch off {
	case 0x00:
		p.clb = p.clb&^0xffffffff | uint64(v)
	case 0x04:
		p.clb = p.clb&0xffffffff | uint64(v)<<32
	case 0x08:
		p.fb = p.fb&^0xffffffff | uint64(v)
	case 0x0c:
		p.fb = p.fb&0xffffffff | uint64(v)<<32
	case 0x10:
		p.is &^= v
	case 0x14:
		p.ie = v
	case 0x18:
		d.command(p, v)
	case 0x2c:
		if p.sctl&15 == 1 && v&15 == 0 {
			d.reset(p)
		}
		if v&15 == 1 && p.cmd&(1<<15) != 0 {
			d.wrong("port %d is reset while it runs", p.n)
		}
		p.sctl = v
	case 0x30:
		p.serr &^= v
	case 0x34:
		if !runs {
			d.wrong("SACT of port %d, which does not run", p.n)
		}
		p.sact |= v
	case 0x38:
		if !runs || v&p.ci != 0 {
			d.wrong("CI %#x of port %d, which has %#x, runs: %v", v, p.n, p.ci, runs)
		}
		p.ci |= v
		d.start(p, v)
	default:
		d.wrong("port register %#x is written", off)
	}
	if off < 0x10 && p.cmd&(1<<14|1<<15) != 0 {
		d.wrong("memory of port %d is moved while it runs", p.n)
	}
}

// command is a write to PxCMD.
func (d *Device) command(p *port, v uint32) {
	const start, receive = 1 << 0, 1 << 4
	if v&start != 0 && p.cmd&start == 0 {
		if v&receive == 0 || p.tfd&0x88 != 0 || d.Drives[p.n] == nil || p.down {
			d.wrong("port %d is started with %#x, status %#x", p.n, v, p.tfd)
		}
		if (v>>24&1 != 0) != d.Drives[p.n].Packet {
			d.wrong("port %d is started as another kind of device", p.n)
		}
		p.halted = false
	}
	if v&start == 0 && p.cmd&start != 0 && !d.stuck {
		p.ci, p.sact = 0, 0
		p.epoch++
	}
	p.cmd = p.cmd&(1<<14|1<<15) | v&^(1<<14|1<<15)
	if d.stuck {
		return
	}
	p.cmd &^= 1<<14 | 1<<15
	p.cmd |= v&start<<15 | v&receive<<10
}

// reset is the end of a COMRESET.
func (d *Device) reset(p *port) {
	v := d.Drives[p.n]
	p.epoch++
	p.tfd, p.halted = 0x7f, false
	if v == nil || p.down {
		return
	}
	p.tfd, p.sig = 0x50, 0x101
	if v.Packet {
		p.sig = 0xeb140101
	}
	if v.Unready {
		p.tfd = 0x80
	}
	p.serr |= 1 << 26
	if p.n == 0 {
		d.resets++
	}
}
