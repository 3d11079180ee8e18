// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/tools/emu"
	"ringo/tools/image"
)

// TestBoot goes from power-on to the prompt, and off again: each way of booting,
// each number of CPUs and each memory size, and with -long all of them with each
// other, and a large machine.
func TestBoot(t *testing.T) {
	t.Parallel()
	ways := []emu.Boot{emu.BootKernel, emu.BootISO, emu.BootPXE, emu.BootUEFIISO, emu.BootUEFIPXE, emu.BootUSB, emu.BootUEFIUSB}
	usual := map[string]bool{
		"kernel-1-512": true, "kernel-2-2048": true,
		"iso-1-2048": true, "iso-4-512": true, "pxe-2-512": true,
		"uefi-iso-4-6144": true, "uefi-pxe-1-2048": true, "usb-2-512": true,
	}
	for i, boot := range ways {
		for j, smp := range []int{1, 2, 4} {
			mem := []int{512, 2048, 6144}[(i+j)%3]
			name := fmt.Sprintf("%s-%d-%d", boot, smp, mem)
			if !*long && !usual[name] {
				continue
			}
			delete(usual, name)
			t.Run(name, func(t *testing.T) { testBoot(t, boot, smp, mem) })
		}
	}
	if len(usual) > 0 {
		t.Errorf("not in the table: %v", usual)
	}
	t.Run("kernel-8-6144", func(t *testing.T) { testBoot(t, emu.BootKernel, 8, 6144) })
	if *long { // QEMU takes memory as it is used: the 16 GiB need not be there
		t.Run("kernel-32-16384", func(t *testing.T) { testBoot(t, emu.BootKernel, 32, 16384) })
	}
}

func testBoot(t *testing.T, way emu.Boot, smp, mem int) {
	c := emu.Config{Boot: way, SMP: smp, MemMiB: mem, HVArgs: "loglvl=info"}
	if way == emu.BootUSB { // somebody's rack, and a port that the command line names
		c.COM, c.HVArgs = 2, "loglvl=info com2=115200,8n1 console=com2"
	}
	health, iommu := "a warning in dmesg", "none" // the warning: there is no IOMMU
	switch way {
	case emu.BootUEFIISO:
		c.HVArgs += " console=com1,vga"
		c.IOMMU, health, iommu = emu.AMD, "ok", "AMD-Vi, 1 unit, 48 bits; 1 have memory" // the AHCI controller
	case emu.BootKernel:
		c.IOMMU, health, iommu = emu.Intel, "ok", "VT-d, 1 unit, 39 bits; 1 have memory"
	}
	if way == emu.BootUEFIPXE {
		c.Args = []string{"-drive", "if=none,id=disk,file=null-co://,file.read-zeroes=on,format=raw", "-device", "nvme,drive=disk,serial=1"}
	}
	lines := c.IOMMU == emu.AMD || c.IOMMU == emu.Intel && smp == 2
	if lines {
		iommu = strings.Replace(iommu, "1 have", "3 have", 1)
		c.Args = []string{"-device", "piix3-ide,id=old", "-drive", "if=none,id=disk,format=raw,file=" + emptyDisk(t, "ide.img", 8<<20),
			"-device", "ide-hd,bus=old.0,drive=disk,serial=1", "-netdev", "user,id=net", "-device", "e1000,netdev=net,romfile="}
	}
	h := boot(t, c)
	if way == emu.BootUEFIISO { // first: its lines scroll away
		h.shows(h.frameScreen, "Ringo ", fmt.Sprint(" ", smp, " CPUs "), "started on UEFI by GRUB", "ringo# ")
	}
	if lines {
		h.lines()
	}
	if way == emu.BootUEFIPXE {
		// This firmware puts the disk's registers far above all memory.
		if all := h.ok("pci -v"); !strings.Contains(all, "BAR 0: memory at 0xe0") {
			t.Errorf("pci -v:\n%s", all)
		}
		h.ok("disk-speed -n 100 nvme0n1")
	}
	if strings.Contains(h.Transcript(), "started on UEFI by GRUB") != way.UEFI() {
		t.Error("it does not say whether this is UEFI")
	}
	if !strings.Contains(h.Transcript(), " 0 guests; health: "+health+"; the way in: this console\n") {
		t.Errorf("no status, or not a healthy one: %s", h.ok("status"))
	}
	info := h.info()
	if got := info["nr_cpus"]; got != strconv.Itoa(smp) {
		t.Errorf("nr_cpus %q, want %d", got, smp)
	}
	// Behind it stands who has memory: those whose drivers have started.
	if got := info["iommu"]; !strings.HasPrefix(got, iommu) {
		t.Errorf("iommu %q, want %q", got, iommu)
	}
	if got := info["virt_caps"]; got != "hvm hap svm" {
		t.Errorf("virt_caps %q", got)
	}
	total, err := strconv.Atoi(info["total_memory"])
	if err != nil || total > mem || total < mem-mem/8 {
		t.Errorf("total_memory %q MiB of %d", info["total_memory"], mem)
	}
	// All of it but hv, dom0 and the modules is for guests, also what lies
	// above 4 GiB.
	if free, err := strconv.Atoi(info["free_memory"]); err != nil || free < mem-280 {
		t.Errorf("free_memory %q MiB of %d", info["free_memory"], mem)
	}
	files := h.ok("files")
	for _, want := range []string{"boot:vmlinuz", "boot:initrd.gz", "boot:demo.toml"} {
		if !hasWord(files, want) {
			t.Errorf("files does not list %s:\n%s", want, files)
		}
	}
	h.poweroff()
}

// lines: interrupts that are no messages, an edge and a line, are remapped by the I/O
// APIC's entries.
func (h *host) lines() {
	h.t.Helper()
	// Where dom0's memory is above 4 GiB the disk's bus master does not reach it.
	if got := h.ok("disk-hash ide0c0d0 0 0x8000"); !strings.Contains(got, "sha256 c35020473aed1b4642cd726cad727b63fff2824ad68cedd7ffb73c7cbd890479 of") {
		h.t.Error(got)
	}
	h.says("ip", `10\.0\.2\.\d+/24 \(DHCP\)`)
	if got := h.ok("ping -c 3 10.0.2.2"); !strings.Contains(got, "56 bytes from 10.0.2.2") {
		h.t.Errorf("ping:\n%s", got)
	}
	h.interrupts("net0", 4)
	if lost := regexp.MustCompile(`(?m)^.*(interrupt was lost|no interrupts|every millisecond|resetting).*$`).FindString(h.Transcript()); lost != "" {
		h.t.Errorf("a device was not driven by interrupts: %s", lost)
	}
}

// TestServer boots a machine without COM1, whose serial port is COM2, as a server
// with serial over LAN says in ACPI table SPCR, and without PIT and PM timer, though
// firmware names one: the rate of the time-stamp counter comes from the HPET. Of its
// four sockets of three cores two are empty, and APIC IDs have a hole.
func TestServer(t *testing.T) {
	t.Parallel()
	table := filepath.Join(t.TempDir(), "spcr")
	if err := os.WriteFile(table, spcr(0x2f8, 3), 0o644); err != nil {
		t.Fatal(err)
	}
	h := boot(t, emu.Config{HV: withFirmware(t, noPMTimer), MemMiB: 512, HVArgs: "loglvl=info", COM: 2,
		Args: []string{"-machine", "q35,pit=off", "-acpitable", "sig=SPCR,rev=2,data=" + table,
			"-smp", "cpus=6,sockets=4,cores=3,threads=1,maxcpus=12",
			"-device", "pcie-root-port,id=port1,chassis=1,addr=5", "-drive", "if=none,id=disk,file=null-co://,file.read-zeroes=on,format=raw",
			"-device", "nvme,drive=disk,serial=1,bus=port1", "-device", "e1000e,addr=6",
			"-drive", "if=none,id=other,file=null-co://,file.read-zeroes=on,format=raw",
			"-device", "virtio-scsi-pci,addr=7", "-device", "scsi-hd,drive=other"}})
	for _, want := range []string{"Hz by the HPET", "the serial port at 0x2f8, which ACPI table SPCR names", "ringo: Ringo ", "6 CPUs, starting dom0"} {
		if !strings.Contains(h.Transcript(), want) {
			t.Errorf("it does not say %q", want)
		}
	}
	if mhz, err := strconv.ParseFloat(h.info()["cpu_mhz"], 64); err != nil || mhz < 100 || mhz > 20_000 {
		t.Errorf("%v MHz, %v", mhz, err)
	}
	h.functions()
	// The ports come back, or it could not switch itself off.
	h.configWrite(0x8000f844, "o/b 0xcfc 0x80")
	h.poweroff()
}

// functions checks that the machine's PCI functions are known: behind a root port a
// disk, which firmware was the master of to look for a system.
func (h *host) functions() {
	h.t.Helper()
	all := h.ok("pci -v")
	if want := "00:07.0, SCSI controller 1af4:1004, is not used: there is no driver for it"; !strings.Contains(h.Transcript(), want) {
		h.t.Errorf("it does not say %q", want)
	}
	for _, want := range []string{
		`00:05\.0 PCI bridge .*\n\tbuses behind it: 01 to 01\n`,
		`00:06\.0 Ethernet controller \[020000\]: 8086:10d3\n`,
		`00:07\.0 SCSI .*\n\tsubsystem .*\n\tbus master: stopped at boot\n`,
		`01:00\.0 NVMe controller .*\n\tsubsystem .*\n\tbus master: stopped at boot\n\tBAR 0: memory at 0x[0-9a-f]+, 16 KiB, 64-bit\n(\t.*\n)*\tcapability at 0x[0-9a-f]+: MSI-X, messages: 65\n`,
	} {
		if !regexp.MustCompile(want).MatchString(all) {
			h.t.Errorf("pci -v does not show %s:\n%s", want, all)
		}
	}
	// The machine says so as well of a function that dom0 has no driver for, and that
	// firmware was the master of: the command of 00:07.0, virtio SCSI, has no bit 2, and its line is off (bit 10).
	// It is read in memory: hv uses the ports itself, at any time.
	text, err := h.Monitor.HMP("xp /1hx 0xb0038004")
	if m := regexp.MustCompile(`: 0x([0-9a-f]+)`).FindStringSubmatch(text); err != nil || m == nil || m[1] != "0503" {
		h.t.Errorf("command of the SCSI adapter: %q, %v; want 0x0503", text, err)
	}
}

// spcr is the body of the table (Microsoft's "Serial Port Console Redirection
// Table") for a 16550 at an I/O port with an interrupt of the 8259s, 115200 baud.
func spcr(port uint16, irq byte) []byte {
	b := make([]byte, 80-36)
	copy(b[4:], []byte{1, 8, 0, 1, byte(port), byte(port >> 8)})
	b[16], b[17], b[22], b[24] = 1, irq, 7, 1
	return b
}

// TestMemoryAbove4G gives a guest more memory than lies below 4 GiB.
func TestMemoryAbove4G(t *testing.T) {
	t.Parallel()
	h := boot(t, emu.Config{MemMiB: 6144})
	h.ok(`create name=big kernel=boot:vmlinux.lz4 initrd=boot:initrd.gz memory=4GiB cmdline="console=ttyS0"`)
	h.attach("big")
	h.shell()
	kib, err := strconv.Atoi(h.sh("awk '/MemTotal/ {print $2}' /proc/meminfo"))
	if err != nil || kib < 3900<<10 {
		t.Errorf("MemTotal %d KiB, %v", kib, err)
	}
	// Write all over what lies above 4 GiB, which Linux takes first, and more.
	h.sh("mkdir -p /mnt && mount -t tmpfs -o size=3500m none /mnt && dd if=/dev/zero of=/mnt/f bs=1M count=2000 2>/dev/null && rm /mnt/f")
	h.detach()
	h.ok("destroy big")
	h.poweroff()
}

// TestImageTwice: make image gives the same bytes again.
func TestImageTwice(t *testing.T) {
	t.Parallel()
	var first map[string][32]byte
	for range 2 {
		dir := t.TempDir()
		img, err := image.Build(built.root, filepath.Join(dir, "made"))
		if err != nil {
			t.Fatal(err)
		}
		c := emu.Config{HV: img.HV, HVArgs: "loglvl=info", Modules: append([]emu.Module{{Name: "dom0", Path: img.Dom0}}, modules()[1:]...)}
		tftp, iso := filepath.Join(dir, "tftp"), filepath.Join(dir, "ringo.iso")
		if err := c.WriteTFTP(tftp); err != nil {
			t.Fatal(err)
		}
		if err := emu.WriteISO(iso, tftp, c.HVArgs, c.Modules); err != nil {
			t.Fatal(err)
		}
		sums := map[string][32]byte{}
		err = filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := os.ReadFile(p)
			name, _ := filepath.Rel(dir, p)
			sums[name] = sha256.Sum256(b)
			return err
		})
		if err != nil || len(sums) < 8 {
			t.Fatalf("%d files, %v", len(sums), err)
		}
		if first == nil {
			first = sums
			continue
		}
		if d := cmp.Diff(first, sums); d != "" {
			t.Error(d)
		}
	}
}
