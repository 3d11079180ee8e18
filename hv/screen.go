// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"time"

	"ringo/boot/acpi"
	"ringo/boot/cmdline"
	"ringo/boot/kernel"
	"ringo/boot/mb"
	"ringo/hv/abi"
	"ringo/hv/insn"
	"ringo/hv/internal/dbg"
	"ringo/hv/internal/part"
	"ringo/hv/internal/ps2"
	"ringo/hv/screen"
	"ringo/mm"
)

// headLines is how many lines of the screen stay.
const headLines = 2

// keyTime is how often the keyboard is asked: its controller holds some keys, and
// needs no interrupt that way.
const keyTime = 10 * time.Millisecond

// openScreen shows the log and dom0's console on the machine's screen, and takes
// input from its keyboard. It reports false when there is no screen that can be
// used.
func openScreen(m *part.Machine, info *mb.Info, fw *acpi.Tables) bool {
	d, why := display(info, fw)
	if d == nil {
		dbg.At(dbg.Warning).S("console=vga: ").S(why).End()
		return false
	}
	wake := make(chan struct{}, 1)
	s := screen.New(d, headLines)
	s.Wake = func() {
		select {
		case wake <- struct{}{}:
		default: // it is awake
		}
	}
	s.Head(0, "Ringo "+abi.Release+"   "+itoa(len(m.CPUs))+" CPUs   "+itoa(int(m.Frames.TotalBytes()/mm.MiB))+" MiB   "+m.Backend.Caps().Short)
	s.Head(1, "Type help at the prompt; Ctrl-A three times switches to the hypervisor's debug keys")
	repeatLog(s.Write)
	con.screen = s
	go func() {
		for range wake {
			s.Paint()
		}
	}()
	if f := fw.FADT; f != nil && f.Flags&acpi.FlagHardwareReduced != 0 {
		return true // no keyboard controller
	}
	if k, ok := ps2.Open(allPorts{}); ok {
		go typeKeys(k)
	} else {
		dbg.At(dbg.Info).S("no PS/2 keyboard").End()
	}
	return true
}

// allPorts is the whole port space.
type allPorts struct{}

func (allPorts) In(p uint16) uint8     { return insn.IN8(p) }
func (allPorts) Out(p uint16, v uint8) { insn.OUT8(p, v) }

func typeKeys(k *ps2.Keyboard) {
	b := make([]byte, 64)
	for {
		con.input.Type(b[:k.Read(b)])
		time.Sleep(keyTime)
	}
}

// vgaText is where text mode 3 has its characters.
const vgaText mm.HPA = 0xb8000

// display is the screen as the loader left it, or why it cannot be used. A loader
// that says nothing of it has left text mode, on a BIOS machine.
func display(info *mb.Info, fw *acpi.Tables) (screen.Display, string) {
	f := info.Screen
	switch {
	case f == nil && info.EFI != 0:
		return nil, "the loader has no frame buffer from UEFI"
	case f == nil && fw.FADT != nil && fw.FADT.BootFlags&acpi.BootNoVGA != 0:
		return nil, "the machine has no VGA"
	case f == nil, f.Kind == mb.Text && f.Addr == vgaText && f.Width == 80 && f.Height == 25:
		return screen.VGA{Memory: direct.Bytes(vgaText, screen.VGABytes)}, ""
	case f.Kind != mb.RGB || f.Depth != 32 || f.Pitch%4 != 0 || f.Pitch/4 < f.Width || f.Addr%4 != 0 ||
		f.Width < 80*screen.GlyphWidth || f.Height < 25*screen.GlyphHeight:
		return nil, "the screen is neither text of 80 by 25 nor 32 bits a pixel and 640 by 400 at least"
	}
	size := uint64(f.Pitch) * uint64(f.Height)
	if !mm.Within(f.Addr, size, uint64(kernel.DirectTop())) {
		return nil, "the frame buffer is above all RAM"
	}
	return screen.Frame{Pixels: direct.Words(f.Addr, size/4), Pitch: int(f.Pitch / 4), Width: int(f.Width), Height: int(f.Height)}, ""
}

// wantScreen opens the screen if the command line wants it. Without one, and
// without a serial port, the console is COM1.
func wantScreen(m *part.Machine, info *mb.Info, opts *cmdline.Options, fw *acpi.Tables) {
	if opts.Console&cmdline.ConsoleVGA != 0 && !openScreen(m, info, fw) && opts.Console.Port() < 0 {
		opts.Console |= cmdline.ConsoleCOM1
	}
}
