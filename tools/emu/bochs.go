// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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
cpu: model=%s, count=%d, ips=50000000, reset_on_triple_fault=0, ignore_bad_msrs=1
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path=%s, status=inserted
boot: cdrom
com1: enabled=1, mode=term, dev=%s
clock: sync=none, time0=utc
panic: action=fatal
error: action=report
log: bochs.log
magic_break: enabled=1
sound: waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy
speaker: enabled=0
`

// StartBochs boots c from its ISO in Bochs. Its serial line is a
// pseudo-terminal; the CPU model is c.CPU, default BochsCPU. Exit codes: 0 after the magic
// breakpoint (XCHG BX, BX), 1 after "Shutdown" was written to port 0x8900.
func StartBochs(c Config) (*Machine, error) {
	if c.CPU == "" {
		c.CPU = BochsCPU
	}
	c.Boot = BootISO
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
	rc := fmt.Sprintf(bochsRC, c.MemMiB, c.CPU, c.SMP, iso, line.slave.Name())
	for name, text := range map[string]string{"bochsrc": rc, "bochsdbg": "c\nquit\n"} {
		if err := os.WriteFile(filepath.Join(c.Dir, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	cmd := exec.Command(Bochs, "-q", "-f", "bochsrc", "-rc", "bochsdbg")
	cmd.Dir = c.Dir
	cmd.Env = append(os.Environ(),
		"LTDL_LIBRARY_PATH=/usr/lib/x86_64-linux-gnu/bochs/plugins", "BXSHARE=/usr/share/bochs")
	cmd.Stdout = nil
	m := &Machine{cmd: cmd, done: make(chan struct{})}
	cmd.Stderr = &m.stderr
	if err := m.spawn(); err != nil {
		line.slave.Close()
		line.Close()
		return nil, err
	}
	go line.until(m.done)
	m.Console = NewConsole(line, line.File, c.MaxTranscript)
	return m, nil
}
