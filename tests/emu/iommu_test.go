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
	from, to := address, uint64(eduBuffer+64)
	if command == eduWrite {
		from, to = eduBuffer, address // of which nothing was read to
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

// writes reports whether it can write to memory, where there are no zeros.
func (d *hostileDevice) writes(address uint64) bool {
	d.t.Helper()
	memory := func() string { return d.do("read %#x 64", address) }
	before := memory()
	if strings.Trim(before, "0x") == "" {
		d.t.Fatalf("nothing to destroy at %#x", address)
	}
	d.copy(address, eduWrite)
	after := memory()
	if after != before && strings.Trim(after, "0x") != "" {
		d.t.Fatalf("%#x: %s became %s, which the device did not write", address, before, after)
	}
	return after != before
}

// seed puts something into 64 bytes of memory, and returns the address.
func (d *hostileDevice) seed(address uint64) uint64 {
	d.do("memset %#x 64 0xa5", address)
	return address
}

// nobodys is low memory that neither firmware nor Ringo uses.
const nobodys = 0x7000

// hvText is somewhere in the hypervisor's text, which begins at 1 MiB.
const hvText = 0x180000

// firmwares is memory of SeaBIOS with 512 MiB, which the tests' tables name for the
// device; SeaBIOS has its ACPI tables before it.
const (
	firmwares  = 0x1ffff000
	acpiTables = 0x1ffe0000
)

// The tables of QEMU 7.2, changed: the devices that they list are not looked at by
// Ringo, and give room for a region of memory.
var (
	// withRMRR: the unit with the I/O APIC only, a region for 00:02.0, and something
	// that fills the rest.
	withRMRR = patched(acpiTables, "DMAR", 128, 48, 0x00180000, 0, 0xfed90000, 0, 0x00000803, 0x0000ff00,
		0x00200001, 0, firmwares, 0, firmwares+0xfff, 0, 0x00000801, 0x00020000, 0x00180002, 0, 0, 0, 0, 0)
	// withIVMD: the unit with the I/O APIC only, and a region for 00:03.0.
	withIVMD = patched(acpiTables, "IVRS", 112, 48, 0x0020d110, 0x00400010, 0xfed80000, 0, 0, 0x44, 0x48, 0x0100a000,
		0x00200721, 0x18, 0, 0, firmwares, 0, 0x1000, 0)
)

// TestIOMMU: dom0's disk reaches dom0's memory, and a device that which firmware's
// tables name for it. One that
// turns on the hypervisor is refused, whatever it does, and loses its bus and all
// memory; hv, dom0 and what is typed, which comes by an interrupt that is remapped, go
// on.
func TestIOMMU(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		iommu    emu.IOMMU
		firmware []byte
		args     []string
		info     string
		fault    string
		known    bool // whose access it was
	}{
		{"intel", emu.Intel, withRMRR, nil, "VT-d, 1 unit, 39 bits; 3 have memory",
			`warning: iommu: PCI 0000:00:02\.0 wrote to 0x180000, refused: writing there is not allowed \(5\); it is no bus master any more`, true},
		// QEMU's unit has no record of whose access it was (CAVEATS.md).
		{"amd", emu.AMD, withIVMD, nil, "AMD-Vi, 1 unit, 48 bits; 3 have memory",
			`warning: iommu: refused: a device's access, without a record of whose`, false},
		// Four levels, and a unit that remembers what is absent, and snoops if asked.
		{"intel-48-long", emu.Intel, withRMRR, []string{"-global", "intel-iommu.aw-bits=48", "-global", "intel-iommu.caching-mode=on",
			"-global", "intel-iommu.snoop-control=on"}, "VT-d, 1 unit, 48 bits; 3 have memory",
			`warning: iommu: PCI 0000:00:02\.0 wrote to 0x180000, refused: writing there is not allowed \(5\); it is no bus master any more`, true},
	} {
		if strings.HasSuffix(c.name, "-long") && !*long {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			conf, socket := withDevice(t, emu.Config{HV: withFirmware(t, c.firmware), IOMMU: c.iommu, MemMiB: 512, HVArgs: "iommu=required"})
			conf.Args = append(conf.Args, c.args...)
			disk := emptyDisk(t, "disk.img", 8<<20)
			conf.Args = append(conf.Args, "-drive", "if=none,id=disk,format=raw,file="+disk, "-device", "nvme,drive=disk,serial=1")
			h := boot(t, conf)
			h.ok("disks") // when all drivers have started
			if got := h.info()["iommu"]; got != c.info {
				t.Errorf("iommu: %q, want %q", got, c.info)
			}
			d := openDevice(t, socket)
			if d.config(pciCommand)&busMaster != 0 {
				t.Error("a bus master that nobody made one")
			}
			d.master()
			if !d.writes(d.seed(firmwares)) {
				t.Error("it does not reach the memory that firmware's tables name for it")
			}
			if d.writes(hvText) {
				t.Fatal("a device has written the hypervisor")
			}
			h.seeRE(verbTime, c.fault)
			if c.known && d.config(pciCommand)&busMaster != 0 {
				t.Error("still a bus master")
			}
			// It takes the bus again.
			d.master()
			for _, at := range []uint64{d.seed(firmwares), hvText, d.seed(nobodys)} {
				d.copy(at, 0)
				if d.writes(at) != (at == firmwares && !c.known) {
					t.Errorf("%#x: after the fault: %v", at, at != firmwares)
				}
			}
			if got, left := h.info()["iommu"], map[bool]string{true: "2 have memory", false: "3 have memory"}[c.known]; !strings.Contains(got, " refused") || !strings.Contains(got, left) {
				t.Errorf("iommu: %q after a fault", got)
			}
			// dom0's disk works, by messages that are remapped.
			if got := h.ok("disk-test nvme0n1 1 4"); !strings.HasSuffix(strings.TrimSpace(got), " bytes, 0 failed") {
				t.Error(got)
			}
			h.poweroff()
			if text := h.Transcript(); strings.Contains(text, "interrupt was lost") || strings.Contains(text, "no interrupts") {
				t.Error("the disk was not driven by interrupts")
			}
			checkExercise(t, disk, 1, 4<<20)
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
	d.master()
	if !d.writes(d.seed(nobodys)) {
		h.t.Error("a device without an IOMMU did not write")
	}
}
