// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"runtime"
	"sync/atomic"

	"github.com/usbarmory/tamago/soc/intel/ioapic"

	"ringo/boot/acpi"
	"ringo/boot/cmdline"
	"ringo/boot/kernel"
	"ringo/boot/mb"
	"ringo/hv/abi"
	"ringo/hv/insn"
	"ringo/hv/internal/console"
	"ringo/hv/internal/dbg"
	"ringo/hv/internal/event"
	"ringo/hv/internal/iommu"
	"ringo/hv/internal/part"
	"ringo/hv/internal/uart"
	"ringo/hv/screen"
)

// hostConsole is the serial port and the screen that log and dom0 share.
type hostConsole struct {
	uart   *uart.UART     // nil: no port, or not open yet
	screen *screen.Screen // nil: none
	input  console.Input
	// events reaches dom0, nil before there is one.
	events atomic.Pointer[event.Channel]
}

// connect lets input reach dom0. What was typed before waits there already.
func (c *hostConsole) connect(e *event.Channel) {
	c.events.Store(e)
	e.Raise(abi.PortConsole)
}

var con hostConsole

// logLine takes a line of the log: into the ring that dmesg reads, and to the
// console. Until the port is open the kernel layer does both, polled.
func logLine(b []byte) {
	kernel.Log(b)
	con.write(b)
}

// write queues b for the serial port, shows it, and returns how much of it was
// taken. Without a port everything is taken: there is nobody to wait for.
func (c *hostConsole) write(b []byte) int {
	n := len(b)
	if c.uart != nil {
		n = c.uart.Write(b)
	}
	if c.screen != nil {
		c.screen.Write(b[:n])
	}
	return n
}

// flush waits until everything written has been sent.
func (c *hostConsole) flush() {
	if c.uart != nil {
		c.uart.Flush()
	}
}

// ports is the UART's registers in port space.
type ports uint16

func (p ports) In(off uint16) uint8     { return insn.IN8(uint16(p) + off) }
func (p ports) Out(off uint16, v uint8) { insn.OUT8(uint16(p)+off, v) }

// comIRQ is the ISA interrupt of the usual ports.
var comIRQ = map[uint16]uint8{0x3f8: 4, 0x2f8: 3, 0x3e8: 4, 0x2e8: 3}

// serialPort is the port of the console and its ISA interrupt, 0 if none is known:
// what the command line says, else what firmware says, else COM1. The port is 0
// when there shall be none.
func serialPort(opts cmdline.Options, fw *acpi.Tables) (s cmdline.Serial, irq uint8) {
	if n := opts.Console.Port(); n >= 0 {
		s = opts.COM[n]
	}
	if f := fw.Serial; f != nil && !opts.ConsoleGiven && port(f.Base) != 0 {
		for _, s = range opts.COM { // what the line says of that port stays
			if s.Port == port(f.Base) {
				break
			}
		}
		if s.Port != port(f.Base) {
			s.Port, s.Baud = port(f.Base), f.Baud
		}
		irq = f.IRQ
	}
	if irq == 0 {
		irq = comIRQ[s.Port]
	}
	return s, irq
}

// earlyConsole lets the log go to the console's port from now on, and what there
// is of it.
func earlyConsole(opts cmdline.Options, fw *acpi.Tables) {
	s, _ := serialPort(opts, fw)
	if s.Port == 0 {
		return
	}
	if kernel.SetSerial(s.Port, s.Baud) != s.Port {
		repeatLog(kernel.ConsoleWrite)
	}
	if f := fw.Serial; f != nil && !opts.ConsoleGiven {
		dbg.At(dbg.Info).S("console: the serial port at ").X(f.Base.Addr).S(", which ACPI table ").S(f.Table).S(" names").End()
	}
}

// repeatLog writes what there is of the log somewhere else.
func repeatLog(write func([]byte)) {
	b := make([]byte, 256)
	for off := uint64(0); ; {
		n, first := kernel.LogRead(b, off)
		if n == 0 {
			return
		}
		off = max(off, first) + uint64(n)
		write(b[:n])
	}
}

// openConsole takes the serial port over from the kernel layer's polled output, and
// the screen.
func openConsole(m *part.Machine, info *mb.Info, opts cmdline.Options, fw *acpi.Tables, g *iommu.Guard) {
	con.input.Arrived = func() {
		if e := con.events.Load(); e != nil {
			e.Raise(abi.PortConsole)
		}
	}
	con.input.Key = func(k byte) { debugKey(m, k) }
	con.input.Switched = func(toHV bool) {
		to := "dom0"
		if toHV {
			to = "the hypervisor's debug keys (h for help)"
		}
		dbg.At(dbg.Info).S("input goes to ").S(to).S(", Ctrl-A three times switches").End()
	}
	wantScreen(m, info, &opts, fw)
	s, irq := serialPort(opts, fw)
	if s.Port == 0 {
		if con.screen != nil {
			kernel.SetOutput(kernel.LogOnly)
		}
		return
	}
	u, ok := uart.Open(ports(s.Port), uart.Line{Baud: s.Baud, Data: s.Data, Parity: s.Parity, Stop: s.Stop})
	if !ok {
		dbg.At(dbg.Warning).S("no serial port at ").X(uint64(s.Port)).End()
		return
	}
	vec := kernel.AllocVector()
	if vec != 0 {
		kernel.OpenSerial(vec, s.Port)
	}
	if vec == 0 || irq == 0 || !route(fw, g, irq, vec) {
		dbg.At(dbg.Warning).S("serial port without interrupt: no input").End()
		return
	}
	con.uart = u
	kernel.SetOutput(kernel.LogOnly)
	go serve(u)
}

// serve takes what the port's interrupt handler has received, and sends. It has a
// thread and a P of its own, and waits for no poller of the runtime's.
func serve(u *uart.UART) {
	runtime.LockOSThread()
	in := make([]byte, 64)
	told := uint64(0)
	for {
		u.Transmit()
		n := kernel.SerialRead(in)
		// What is lost is counted before what stood before it is read: dom0 may
		// be told of a gap too early, never too late.
		if lost := lost(u); lost > told {
			if told == 0 {
				reportLost(u)
			}
			con.input.Overrun(lost - told)
			told = lost
		}
		con.input.Type(in[:n])
		if n == 0 {
			kernel.SerialWait()
		}
	}
}

// lost is how many typed characters were lost before they were read.
func lost(u *uart.UART) uint64 {
	overruns, dropped := kernel.SerialLost()
	return overruns + u.Overruns() + dropped
}

// reportLost says that typed characters were lost.
func reportLost(u *uart.UART) {
	overruns, dropped := kernel.SerialLost()
	overruns += u.Overruns()
	dbg.At(dbg.Warning).S("serial port: typed characters were lost: ").U(overruns).S(" came before the port was emptied, ").
		U(dropped).S(" before they were read; this is said once").End()
}

// route sends ISA interrupt irq to vector vec on the boot CPU. It reports false
// when no I/O APIC has the interrupt, or an IOMMU lets none of that chip's pass.
func route(fw *acpi.Tables, g *iommu.Guard, irq, vec uint8) bool {
	if fw.MADT == nil {
		return false
	}
	gsi, _ := fw.MADT.GSI(irq)
	for i, a := range fw.MADT.IOAPICs {
		chip := ioapic.IOAPIC{Index: i, Base: uint32(a.Addr), GSIBase: int(a.GSIBase)}
		if gsi >= a.GSIBase && int(gsi-a.GSIBase) < chip.Entries() {
			if g == nil || !g.Remaps() {
				chip.EnableInterrupt(int(gsi), int(vec))
				return true
			}
			low, high, ok := g.Pin(a.ID, vec, kernel.APICID(0), false)
			if ok {
				kernel.SetPin(vec, a.Addr, uint8(gsi-a.GSIBase), low, high)
			}
			return ok
		}
	}
	return false
}
