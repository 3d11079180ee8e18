// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"bufio"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"ringo/tools/emu"
)

// hostileDevice is QEMU's "edu" (QEMU documentation, "EDU device"), which copies
// between its memory and the machine's, steered from outside of the machine by QEMU's
// test protocol: as a device does it that somebody else has got hold of. The machine's
// CPUs have no part in it.
type hostileDevice struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
	dev  uint64 // its device number on bus 0
	bar  uint64
}

// Registers of edu, and of configuration space, where SeaBIOS puts a q35's.
const (
	eduID                       = 0x11e81234
	eduFrom, eduTo              = 0x80, 0x88
	eduCount, eduCommand        = 0x90, 0x98
	eduRun, eduWrite            = 1, 2
	eduBuffer                   = 0x40000
	ecam                 uint64 = 0xb0000000
	pciCommand                  = 4
	busMaster                   = 1 << 2
)

// withDevice adds an edu, and the way to it, to a machine.
func withDevice(t *testing.T, c emu.Config) (conf emu.Config, socket string) {
	socket = filepath.Join(t.TempDir(), "q")
	c.Args = append(c.Args, "-device", "edu,dma_mask=0xffffffffffffffff",
		"-qtest", "unix:"+socket+",server=on,wait=off", "-qtest-log", "none")
	return c, socket
}

// openDevice finds the device.
func openDevice(t *testing.T, socket string) *hostileDevice {
	t.Helper()
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	d := &hostileDevice{t: t, conn: conn, in: bufio.NewReader(conn)}
	for d.dev = range uint64(32) {
		if d.config(0) == eduID {
			d.bar = d.config(0x10) &^ 15
			return d
		}
	}
	t.Fatal("no edu on bus 0")
	return nil
}

// do gives QEMU a command and returns the words of its answer behind OK.
func (d *hostileDevice) do(format string, args ...any) string {
	d.t.Helper()
	d.conn.SetDeadline(time.Now().Add(verbTime))
	if _, err := fmt.Fprintf(d.conn, format+"\n", args...); err != nil {
		d.t.Fatal(err)
	}
	line, err := d.in.ReadString('\n')
	rest, ok := strings.CutPrefix(line, "OK")
	if err != nil || !ok {
		d.t.Fatalf("qtest: %q, %v", line, err)
	}
	return strings.TrimSpace(rest)
}

func (d *hostileDevice) number(format string, args ...any) uint64 {
	d.t.Helper()
	v, err := strconv.ParseUint(d.do(format, args...), 0, 64)
	if err != nil {
		d.t.Fatal(err)
	}
	return v
}

// config reads a register of its configuration space.
func (d *hostileDevice) config(reg uint64) uint64 {
	return d.number("readl %#x", ecam+d.dev<<15+reg)
}

// master makes it a bus master, as a driver does.
func (d *hostileDevice) master() {
	d.do("writew %#x %#x", ecam+d.dev<<15+pciCommand, d.config(pciCommand)&0xffff|busMaster|2)
}

// copy has it write zeros to memory, or read from there, and waits until it says that
// it is done: it does not learn that it was refused.
func (d *hostileDevice) copy(address uint64, command uint64) {
	from, to := address, uint64(eduBuffer)
	if command == eduWrite {
		from, to = to, from
	}
	for reg, v := range map[uint64]uint64{eduFrom: from, eduTo: to, eduCount: 64} {
		d.do("writeq %#x %#x", d.bar+reg, v)
	}
	d.do("writeq %#x %#x", d.bar+eduCommand, command|eduRun)
	for end := time.Now().Add(verbTime); d.number("readq %#x", d.bar+eduCommand)&eduRun != 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			d.t.Fatal("edu does not finish")
		}
	}
}

// memory reads 64 bytes of the machine's memory.
func (d *hostileDevice) memory(address uint64) string { return d.do("read %#x 64", address) }

// seed puts something into 64 bytes of memory, and returns the address.
func (d *hostileDevice) seed(address uint64) uint64 {
	d.do("memset %#x 64 0xa5", address)
	return address
}

// nobodys is low memory that neither firmware nor Ringo uses.
const nobodys = 0x7000

// hvText is somewhere in the hypervisor's text, which begins at 1 MiB.
const hvText = 0x180000

// TestIOMMU: a device that turns on the hypervisor is refused, whatever it does, and
// loses its bus; hv, dom0 and what is typed, which comes by an interrupt that is
// remapped, go on.
func TestIOMMU(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		iommu emu.IOMMU
		info  string
		fault string
	}{
		{emu.Intel, "VT-d, 1 unit, 39 bits", `warning: iommu: PCI (0000:00:[0-9a-f]{2}\.0) wrote to 0x180000, refused: [a-z ]+ \([12]\); it is no bus master any more`},
		// QEMU's unit has no record of whose access it was (CAVEATS.md).
		{emu.AMD, "AMD-Vi, 1 unit, 48 bits", `warning: iommu: refused: a device's access, without a record of whose`},
	} {
		t.Run(string(c.iommu), func(t *testing.T) {
			conf, socket := withDevice(t, emu.Config{IOMMU: c.iommu, MemMiB: 512, HVArgs: "iommu=required"})
			h := boot(t, conf)
			if got := h.info()["iommu"]; got != c.info {
				t.Errorf("iommu: %q, want %q", got, c.info)
			}
			d := openDevice(t, socket)
			if d.config(pciCommand)&busMaster != 0 {
				t.Error("a bus master that nobody made one")
			}
			before := d.memory(hvText)
			if strings.Trim(before, "0x") == "" {
				t.Fatal("nothing to destroy there")
			}
			d.master()
			d.copy(hvText, eduWrite)
			h.seeRE(verbTime, c.fault)
			if d.memory(hvText) != before {
				t.Fatal("a device has written the hypervisor")
			}
			if c.iommu == emu.Intel {
				if d.config(pciCommand)&busMaster != 0 {
					t.Error("still a bus master")
				}
			}
			// It takes the bus again.
			d.master()
			for _, at := range []uint64{hvText, d.seed(nobodys)} {
				before := d.memory(at)
				d.copy(at, 0)
				d.copy(at, eduWrite)
				if after := d.memory(at); after != before {
					t.Errorf("%#x: %s became %s", at, before, after)
				}
			}
			h.ok("list")
			if got := h.info()["iommu"]; !strings.Contains(got, " refused") {
				t.Errorf("iommu: %q after a fault", got)
			}
			h.poweroff()
		})
	}
}

// unconfined: on a machine without an IOMMU the device of TestIOMMU writes what it is
// told to, and the log has said so.
func (h *host) unconfined(socket string) {
	h.t.Helper()
	if got := h.info()["iommu"]; got != "none" {
		h.t.Errorf("iommu: %q", got)
	}
	d := openDevice(h.t, socket)
	before := d.memory(d.seed(nobodys))
	d.master()
	d.copy(nobodys, eduWrite)
	if after := d.memory(nobodys); after == before || strings.Trim(after, "0x") != "" {
		h.t.Errorf("a device without an IOMMU did not write: %s, then %s", before, after)
	}
}
