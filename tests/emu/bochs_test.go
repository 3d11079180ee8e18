// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"ringo/tests/guests/micro/guest"
	"ringo/tools/emu"
)

// TestBochsBoot starts the hypervisor and dom0 in Bochs, creates and destroys a
// guest, and switches the machine off.
func TestBochsBoot(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		cpu  string
		smp  int
		long bool
		nic  bool
	}{
		{"corei7_skylake_x", 1, true, false},
		{"corei7_skylake_x", 2, false, false},
		{"corei7_haswell_4770", 1, true, false},
		// No x2APIC, no 1 GiB pages, no accessed bits in second-level tables.
		{"corei7_sandy_bridge_2600k", 1, false, true},
	} {
		t.Run(fmt.Sprintf("%s/%d", c.cpu, c.smp), func(t *testing.T) {
			if c.long && !*long {
				t.Skip("needs -long")
			}
			files, says := protocols()
			mods := append([]emu.Module{{Name: "dom0", Path: built.Dom0}}, emu.Modules(file(t, "micro.elf", string(guest.Build().ELF())))...)
			mods = append(mods, emu.Modules(protocolFiles(t, files)...)...)
			img := built.HV
			if c.smp == 2 { // firmware that is ahead of its time
				img = withFirmware(t, x2APICOn)
			}
			config := emu.Config{HV: img, Modules: mods, CPU: c.cpu, SMP: c.smp, MemMiB: 512, HVArgs: "noreboot"}
			if c.nic {
				config.NIC, config.DiskBus = emu.E1000, emu.IDE
				config.Disks = []string{emptyDisk(t, "ide.img", 33*bochsCylinder)}
			}
			h := bochs(t, config)
			h.see(bootTime, "virtualization: VT-x")
			h.see(bootTime, prompt)
			if !strings.Contains(h.Transcript(), "Hz by the PM timer") { // its clock is slow: nobody believes the PIT alone
				t.Error("no second opinion on the clock")
			}
			if all := h.ok("pci"); !strings.Contains(all, "\n00:01.1 IDE controller [010180]: 8086:7010\n") {
				t.Errorf("no disk controller:\n%s", all)
			}
			if c.nic {
				h.says("ip", `192\.168\.10\.\d+/24 \(DHCP\)`)
				if got := h.ok("ping -c 3 192.168.10.1"); !strings.Contains(got, "56 bytes from 192.168.10.1") {
					t.Errorf("ping:\n%s", got)
				}
				h.interrupts("net0", 4)
				h.bochsDisks(filepath.Join(h.dir, "ringo.iso"))
				if lost := regexp.MustCompile(`(?m)^.*(interrupt was lost|no interrupts|every millisecond|resetting).*$`).FindString(h.Transcript()); lost != "" {
					t.Errorf("a device was not driven by interrupts: %s", lost)
				}
			}
			h.ok(micro("good", "echo"))
			free := h.free()
			h.sector()
			h.ok("destroy sector")
			h.definitions()
			if c.smp == 2 { // slower
				h.protocol("mb2-64", says["mb2-64"])
			} else {
				for _, name := range slices.Sorted(maps.Keys(files)) {
					h.protocol(name, says[name])
				}
				h.verbs()
				h.ends(true)
			}
			h.testDump(false)
			h.ok(micro("regs", "regs"))
			h.responsive()
			h.ok(micro("spin", "spin"))
			h.paste(10)
			h.nothingLost()
			h.ok("destroy spin")
			h.ok("destroy regs")
			if got := h.free(); got != free {
				t.Errorf("free memory %d, %d before", got, free)
			}
			h.poweroff()
			if c.nic {
				checkExercise(t, config.Disks[0], 1, 1<<20)
			}
		})
	}
}

// bochsCylinder is what the disks of Bochs are made of, in bytes.
const bochsCylinder = 516096

// bochsDisks writes the disk of the second channel, and reads the CD of the first.
func (h *host) bochsDisks(iso string) {
	h.t.Helper()
	if all := h.ok("disks"); !regexp.MustCompile(`(?m)^ide0c0d0 +.* 2048 +0 ok\nide0c1d0 +.* 16 +512 +0 ok$`).MatchString(all) {
		h.t.Errorf("disks:\n%s", all)
	}
	if got := h.ok("disk-test ide0c1d0 1 1"); !strings.Contains(got, ", 0 failed") {
		h.t.Error(got)
	}
	b, err := os.ReadFile(iso)
	if err != nil {
		h.t.Fatal(err)
	}
	const size = 1 << 20
	if got := h.ok(fmt.Sprintf("disk-hash ide0c0d0 0 %d", size)); !strings.Contains(got, fmt.Sprintf("sha256 %x of", sha256.Sum256(b[:size]))) {
		h.t.Errorf("the CD: %s", got)
	}
}

// TestBochsPaste pastes lines while the hypervisor's own Go runtime is busy on the
// only CPU: its threads get slices of 2 ms, and the port's FIFO is full after 1.4.
func TestBochsPaste(t *testing.T) {
	t.Parallel()
	h := bochs(t, emu.Config{HV: built.HV, Modules: []emu.Module{{Name: "dom0", Path: built.Dom0}}, CPU: "corei7_sandy_bridge_2600k", SMP: 1, MemMiB: 512, HVArgs: "noreboot torture=on"})
	h.see(bootTime, prompt)
	h.paste(10)
	h.nothingLost()
	h.poweroff()
}

// paste types lines in one piece: they arrive whole. Bochs' serial port knows no
// patience.
func (h *host) paste(lines int) {
	h.t.Helper()
	for range lines {
		name := strings.Repeat("0123456789", 8)
		h.key("console " + name + "\r")
		h.see(verbTime, `domain "`+name+`"`)
		h.see(verbTime, "\n"+prompt)
	}
}

// nothingLost: no character found the port's receiver full.
func (h *host) nothingLost() {
	h.t.Helper()
	if n := h.LostInput(); n > 0 {
		h.t.Errorf("%d typed characters were lost", n)
	}
}

// TestBochsLinux boots the demo guest to its shell: a minute on a quiet machine.
func TestBochsLinux(t *testing.T) {
	t.Parallel()
	if !*long {
		t.Skip("needs -long")
	}
	m := bochs(t, emu.Config{HV: built.HV, Modules: modules(), SMP: 1, MemMiB: 768, HVArgs: "noreboot"})
	for _, step := range []struct{ want, send string }{
		{"ringo#", linux("lin") + "\r"},
		{"ringo#", "console lin\r"},
		{"demo#", "cat /proc/loadavg; hostname works\r"},
		{"works", ""},
	} {
		if _, _, err := m.Expect(20*time.Minute, step.want); err != nil {
			t.Fatalf("%v\n%s", err, m.Last(60))
		}
		if err := m.Send(step.send); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBochsUnusable: a CPU without nested paging is refused in one line.
func TestBochsUnusable(t *testing.T) {
	t.Parallel()
	m := bochs(t, emu.Config{HV: built.HV, Modules: []emu.Module{{Name: "dom0", Path: built.Dom0}}, SMP: 1, MemMiB: 512, CPU: "bx_generic", HVArgs: "noreboot"})
	if _, _, err := m.Console.Expect(bootTime, "VT-x: this CPU has no nested paging (EPT)"); err != nil {
		t.Fatalf("%v\n%s", err, m.Console.Transcript())
	}
}

// bochs starts c in Bochs; it ends, and its console is kept, as start says.
func bochs(t *testing.T, c emu.Config) *host {
	t.Helper()
	if _, err := exec.LookPath(emu.Bochs); err != nil {
		t.Fatal("no Bochs on this machine: make deps")
	}
	c.Dir = t.TempDir()
	m, err := emu.StartBochs(c)
	if err != nil {
		t.Fatal(err)
	}
	h := &host{Machine: m, t: t, cpus: c.SMP, dir: c.Dir}
	t.Cleanup(h.close)
	return h
}
