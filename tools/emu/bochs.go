// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Bochs is the emulator's program name on Debian.
const Bochs = "bochs-bin"

// BochsCPU is the model with every extension that Intel processors have and
// that Bochs 2.7 emulates.
const BochsCPU = "corei7_skylake_x"

// bochsRC is a configuration for a machine without a screen. The rfb display
// is the only one that needs no terminal.
const bochsRC = `display_library: rfb, options="timeout=0"
romimage: file=/usr/share/bochs/BIOS-bochs-latest, options=fastboot
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
megs: %d
cpu: model=%s, count=%d, ips=%d, reset_on_triple_fault=0, ignore_bad_msrs=1
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path=%s, status=inserted
boot: cdrom
com1: enabled=1, mode=term, dev=%s
clock: sync=none, time0=utc
panic: action=fatal%s
error: action=report
log: /dev/fd/3
magic_break: enabled=1
sound: waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy
speaker: enabled=0
%s`

// bochsNIC is its 82540EM, in the second slot of an i440FX, on a network that Bochs plays:
// a DHCP server that answers pings, at 192.168.10.1.
const bochsNIC = `pci: enabled=1, chipset=i440fx, slot1=e1000
e1000: enabled=1, mac=52:54:00:12:34:56, ethmod=vnet, ethdev="."
`

// bochsDisk is a disk on the second channel. Its geometry is made up from its size, so that
// a disk ends with a whole cylinder of 516,096 bytes.
const bochsDisk = `ata1: enabled=1, ioaddr1=0x170, ioaddr2=0x370, irq=15
ata1-%s: type=disk, path="%s", mode=flat, cylinders=0
`

// amdModels are the models of Bochs 2.7 with AMD-V and nested paging.
var amdModels = []string{"phenom_8650_toliman", "zambezi", "trinity_apu", "ryzen"}

// bochsPanics is the end of the line "panic:" of the configuration, and the
// commands for the debugger, which Debian has compiled in.
//
// At a triple fault Bochs first looks whether a VT-x guest caused it. For AMD-V
// it does so only after a panic and a stop in the debugger (exception in
// cpu/exception.cc, shutdown in cpu/proc_ctrl.cc): on those CPUs the panic is
// only reported, and the debugger told to go on each time. The price: a triple
// fault of the host itself does not end the emulator there.
func (c Config) bochsPanics() (panics, commands string) {
	if !slices.Contains(amdModels, c.CPU) {
		return "", "c\nquit\n"
	}
	for i := range c.SMP {
		panics += fmt.Sprintf(", cpu%d=report", i)
	}
	return panics, strings.Repeat("c\n", 10_000) + "quit\n"
}

// StartBochs boots c from its ISO in Bochs. Its serial line is a
// pseudo-terminal; the CPU model is c.CPU, default BochsCPU. The run ends by
// Poweroff at ACPI's S5 or when "Shutdown" is written to port 0x8900, and by
// Reset.
func StartBochs(c Config) (*Machine, error) {
	c.Boot, c.Accel = BootISO, InBochs
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	s, err := c.makeStage()
	if err != nil {
		return nil, err
	}
	iso, err := filepath.Abs(s.iso)
	if err != nil {
		return nil, err
	}
	line, err := openPTY()
	if err != nil {
		return nil, err
	}
	m, err := c.spawnBochs(iso, line.slave.Name())
	if err != nil {
		line.slave.Close()
		line.Close()
		return nil, err
	}
	go line.until(m.done)
	m.Console = NewConsole(line, line.File, c.MaxTranscript)
	return m, nil
}

// spawnBochs writes Bochs' configuration and starts it.
func (c Config) spawnBochs(iso, com1 string) (*Machine, error) {
	panics, commands := c.bochsPanics()
	if c.Debugger != "" {
		commands = c.Debugger
	}
	ips := 50_000_000 // what it is about as fast as: nobody waits long for a timer
	if c.ICount {
		ips = 1_000_000_000
	}
	more := ""
	if c.NIC != NoNIC {
		more = bochsNIC
	}
	for i, file := range c.Disks {
		file, err := filepath.Abs(file)
		if err != nil {
			return nil, err
		}
		more += fmt.Sprintf(bochsDisk, [bochsIDE]string{"master", "slave"}[i], file)
	}
	rc := fmt.Sprintf(bochsRC, c.MemMiB, c.CPU, c.SMP, ips, iso, com1, panics, more)
	for name, text := range map[string]string{"bochsrc": rc, "bochsdbg": commands} {
		if err := os.WriteFile(filepath.Join(c.Dir, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	log, theirs, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	cmd := exec.Command(Bochs, "-q", "-f", "bochsrc", "-rc", "bochsdbg")
	cmd.Dir = c.Dir
	cmd.Env = append(os.Environ(),
		"LTDL_LIBRARY_PATH=/usr/lib/x86_64-linux-gnu/bochs/plugins", "BXSHARE=/usr/share/bochs")
	cmd.ExtraFiles = []*os.File{theirs}
	if c.Debugger != "" {
		out, err := os.Create(filepath.Join(c.Dir, "debugger"))
		if err != nil {
			return nil, err
		}
		defer out.Close()
		cmd.Stdout = out
	}
	m := &Machine{cmd: cmd, done: make(chan struct{})}
	cmd.Stderr = &m.stderr
	m.log = newBochsLog(log, func() { cmd.Process.Kill() })
	if err := m.spawn(); err != nil {
		return nil, err
	}
	return m, nil
}
