// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"ringo/drivers/block"
	"ringo/drivers/block/exercise"
	"ringo/tools/emu"
)

// TestDisks: dom0 drives NVMe, AHCI, IDE and virtio disks by their interrupts. It writes one
// of each all over, while its controller (but IDE's) is reset behind its driver's back, and
// the files below have then what was written. One whose medium fails goes on where it does
// not; one that is taken out while it works is gone, and nothing else.
func TestDisks(t *testing.T) {
	t.Parallel()
	const size = 64 << 20
	image := map[string]string{}
	for _, name := range []string{"nvme", "ahci", "ide", "virtio", "badnvme", "badahci", "badvirtio"} {
		image[name] = emptyDisk(t, name+".img", size)
	}
	good := func(name string) string { return "if=none,id=" + name + ",format=raw,file=" + image[name] }
	bad := func(name string) string {
		return `{"driver":"raw","node-name":"` + name + `","file":{"driver":"blkdebug","image":{"driver":"file","filename":"` + image[name] +
			`"},"inject-error":[{"event":"none","iotype":"read","errno":5,"sector":4096},{"event":"none","iotype":"flush","errno":5}]}}`
	}
	files, _ := protocols()
	volume := diskImage(t, "files.img", tree(t, map[string]string{
		"boot/pvh": string(files["pvh"]), "boot/first": "first\x00", "image.toml": "memory = \"16MiB\"\n[boot]\ncmdline = \"mode=boot\"\n",
		"auto.toml": "memory = \"16MiB\"\n[boot]\nkernel = \"disk:nvme0n2p2/boot/pvh\"\ncmdline = \"mode=boot\"\n",
	}))
	registers := filepath.Join(t.TempDir(), "q")
	cd, sum := cdFile(t)
	h := boot(t, emu.Config{MemMiB: 512, HVArgs: "autostart=disk:nvme0n2p2/auto.toml", Args: []string{
		"-qtest", "unix:" + registers + ",server=on,wait=off", "-qtest-log", "/dev/null",
		"-drive", good("nvme"), "-device", "nvme,id=first,drive=nvme,serial=one,addr=4",
		"-drive", "if=none,id=files,format=raw,file=" + volume, "-device", "nvme-ns,drive=files,bus=first,nsid=2",
		"-device", "pcie-root-port,id=rp,chassis=1,addr=5",
		"-blockdev", bad("badnvme"), "-device", "nvme,drive=badnvme,serial=two,bus=rp",
		"-drive", good("virtio"), "-device", "virtio-blk-pci,drive=virtio,serial=three,num-queues=2,addr=6",
		"-blockdev", bad("badvirtio"), "-device", "virtio-blk-pci,drive=badvirtio,serial=four,disable-legacy=on,addr=7",
		"-drive", good("ahci"), "-device", "ide-hd,drive=ahci,serial=five,bus=ide.1",
		"-blockdev", bad("badahci"), "-device", "ide-hd,drive=badahci,serial=six,bus=ide.3",
		"-device", "piix3-ide,id=old,addr=8", "-drive", good("ide"), "-device", "ide-hd,drive=ide,serial=seven,bus=old.0,unit=0",
		"-drive", "if=none,id=cd,media=cdrom,readonly=on,format=raw,file=" + cd, "-device", "ide-cd,drive=cd,serial=eight,bus=old.0,unit=1",
	}})
	list := `(?m)^ahci0p1 +QEMU HARDDISK +five +64 +512 +0 ok
ahci0p3 +QEMU HARDDISK +six +64 +512 +0 ok
ide0c0d0 +QEMU HARDDISK +seven +64 +512 +0 ok
ide0c0d1 +QEMU DVD-ROM +eight +1 +2048 +0 ok
nvme0n1 +QEMU NVMe Ctrl +one +64 +512 +0 ok
nvme0n2 .* 24 .* ok
nvme1n1 +QEMU NVMe Ctrl +two +64 +512 +0 ok
vd0 +virtio block device +three +64 +512 +0 ok
vd1 +virtio block device +four +64 +512 +0 ok$`
	if all := h.ok("disks"); !regexp.MustCompile(list).MatchString(all) {
		t.Errorf("disks:\n%s", all)
	}
	for !hasWord(h.ok("list"), "auto") { // whose disk takes a moment to be there
	}
	h.ok("destroy auto")
	h.fromVolume("disk:nvme0n2p1")
	h.fromVolume("disk:nvme0n2p2")
	if all := h.ok("disks -v"); !regexp.MustCompile(`(?m)^ +gpt\n +nvme0n2p1 +fat1[26] "STICK" \("EFI system"\) +8\n +nvme0n2p2 +ext4 "root" +12$`).MatchString(all) {
		t.Errorf("disks -v:\n%s", all)
	}
	h.fails("create name=bad kernel=disk:nvme0n3/vmlinuz", `no disk "nvme0n3" (did you mean "disk:nvme0n1"?)`)
	h.reset(registers, "nvme0n1", "00:04.0", 0, "writel", 0x14, 0)    // CC: not enabled
	h.reset(registers, "ahci0p1", "00:1f.2", 5, "writel", 4, 1<<31|1) // GHC: reset
	h.reset(registers, "vd0", "00:06.0", 4, "writeb", 0x14, 0)        // the device status
	const old = 16 << 20                                              // each of its commands is twenty exits
	if got := h.ok(fmt.Sprintf("disk-test ide0c0d0 1 %d", old>>20)); !strings.Contains(got, ", 0 failed") {
		t.Error(got)
	}
	if got := h.ok("disk-hash ide0c0d1 0 0x100000"); !strings.Contains(got, sum) {
		t.Errorf("the CD: %s, want %s", got, sum)
	}
	const medium = "the medium cannot be read or written there"
	for name, why := range map[string]string{"nvme1n1": medium, "vd1": medium, "ahci0p3": "error 0x4: the device has failed"} {
		h.goesOn(name, why)
	}
	h.removed()
	h.poweroff()
	// Of virtio QEMU's emulator may lose some (CAVEATS.md, "Emulator").
	if lost := regexp.MustCompile(`(?m)^.*((nvme|ahci|ide).*interrupt was lost|no interrupts|every millisecond).*$`).FindString(h.Transcript()); lost != "" {
		t.Errorf("a disk was not driven by interrupts: %s", lost)
	}
	// Two disks are at the AHCI controller.
	if n := strings.Count(h.Transcript(), ": resetting it\n"); n != 4 {
		t.Errorf("%d resets, want 4", n)
	}
	for name, moved := range map[string]uint64{"nvme": size, "ahci": size, "ide": old, "virtio": size} {
		checkExercise(t, image[name], 1, moved)
	}
}

// reset writes a disk, and meanwhile a register of its controller: nothing of it is lost.
// It is QEMU's test protocol that writes the register.
func (h *host) reset(socket, disk, function string, bar int, width string, register, value uint64) {
	h.t.Helper()
	at := regexp.MustCompile(fmt.Sprintf(`(?m)^\tBAR %d: .*?(0x[0-9a-f]+)`, bar)).FindStringSubmatch(h.ok("pci -v " + function))
	if at == nil {
		h.t.Fatalf("%s has no BAR %d", function, bar)
	}
	base, err := strconv.ParseUint(at[1], 0, 64)
	if err != nil {
		h.t.Fatal(err)
	}
	c, err := net.Dial("unix", socket)
	if err != nil {
		h.t.Fatal(err)
	}
	defer c.Close()
	h.key("disk-test -f " + disk + " 1 64\r")
	for range 3 {
		h.see(verbTime, "bytes, flushed\n")
	}
	fmt.Fprintf(c, "%s %#x %#x\n", width, base+register, value)
	if line, err := bufio.NewReader(c).ReadString('\n'); line != "OK\n" {
		h.t.Fatalf("%q, %v", line, err)
	}
	h.seeRE(verbTime, `(?m)^\d{4} reads, \d{4} writes, \d+ bytes, 0 failed$`)
	h.see(verbTime, prompt)
}

// goesOn reads where a disk has a bad block, and where it has none, and works on. What was
// written cannot be flushed.
func (h *host) goesOn(name, why string) {
	h.t.Helper()
	const zeros = "sha256 30e14955ebf1352266dc2ff8067e68104607e750abb9d3b36582b8af909fcb58 of 1048576 bytes"
	if got := h.ok("disk-hash " + name + " 0x300000 0x100000"); !strings.Contains(got, zeros) {
		h.t.Error(got)
	}
	h.fails("disk-hash "+name+" 0x200000 0x1000", name+": blocks 4096 to 4103", why)
	if got := h.ok("disk-test " + name + " 2 4"); !strings.Contains(got, " reads, ") {
		h.t.Error(got)
	}
	h.fails("disk-speed -f -n 1 "+name, name+": flush: ", why)
	if all := h.ok("disks"); !regexp.MustCompile(`(?m)^` + name + ` .* 512 +[1-9][0-9]* ok$`).MatchString(all) {
		h.t.Errorf("disks:\n%s", all)
	}
}

// removed takes the disk behind the root port out while it is written.
func (h *host) removed() {
	h.t.Helper()
	port := regexp.MustCompile(`(?m)^\tcapability at (0x[0-9a-f]+): PCI Express`).FindStringSubmatch(h.ok("pci -v 00:05.0"))
	if port == nil {
		h.t.Fatal("the root port is no Express function")
	}
	at, err := strconv.ParseUint(port[1], 0, 8)
	if err != nil {
		h.t.Fatal(err)
	}
	h.key("disk-test nvme1n1 3 400\r")
	h.see(verbTime, "disk-test nvme1n1 3 400")
	// Power and indicator off ("Slot Control Register").
	h.configWrite(0x80002800|uint32(at+0x18), "o/h 0xcfc 0x700")
	h.see(verbTime, "error: nvme1n1: ")
	h.see(verbTime, "the device is gone", prompt)
	if all := h.ok("disks"); !regexp.MustCompile(`(?m)^nvme0n1 .* 0 ok\nnvme0n2 .* 0 ok\nnvme1n1 .* it does not answer any more: the device is gone$`).MatchString(all) {
		h.t.Errorf("disks:\n%s", all)
	}
	h.fails("disk-hash nvme1n1 0 512", "the device is gone")
}

// cdFile makes a file of 1 MiB that is not all the same, and returns its sum.
func cdFile(t *testing.T) (name, sum string) {
	t.Helper()
	b := make([]byte, 1<<20)
	exercise.Fill(b, 8, 0, 1)
	name = filepath.Join(t.TempDir(), "cd.iso")
	if err := os.WriteFile(name, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return name, fmt.Sprintf("%x", sha256.Sum256(b))
}

// emptyDisk makes a file of size zeros.
func emptyDisk(t *testing.T, name string, size int64) string {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(name, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, size); err != nil {
		t.Fatal(err)
	}
	return name
}

// checkExercise compares a disk's file with what an exercise has written.
func checkExercise(t *testing.T, name string, seed, moved uint64) {
	t.Helper()
	disk, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	const size = 512
	p := exercise.NewPlan(seed, block.Info{BlockSize: size, Blocks: uint64(len(disk) / size), MaxBlocks: 1 << 20})
	writes := make([]uint16, p.Blocks())
	p.Skip(moved, size, writes)
	want := make([]byte, size)
	wrong := 0
	for b, n := range writes {
		clear(want)
		if n > 0 {
			exercise.Fill(want, seed, uint64(b), n)
		}
		if string(disk[b*size:][:size]) != string(want) {
			wrong++
		}
	}
	if wrong > 0 {
		t.Errorf("%d of %d blocks are not as they were written", wrong, len(writes))
	}
}
