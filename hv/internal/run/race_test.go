// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package run

import (
	"testing"

	"ringo/hv/abi"
	"ringo/hv/internal/part"
	"ringo/hv/vcpu"
	"ringo/hv/vcpu/vcputest"
	"ringo/hv/x86"
	"ringo/mm"
)

// portExit is INS or OUTS at a port.
func portExit(port uint16, size uint8, in bool) vcpu.Exit {
	return vcpu.Exit{Reason: vcpu.IO, IO: vcpu.IOExit{Port: port, Size: size, In: in, String: true}}
}

// What an exit allowed is all that the instruction may do which is there by the
// time it is fetched: no port without the CPU's check of privilege, no control
// register for a user program.
func TestChangedInstruction(t *testing.T) {
	const hole, reset = 0xf000_0000, 0xcf9
	mem := touch(hole, false).Exit
	for _, c := range []struct {
		name string
		x    vcpu.Exit
		code []byte
		cpl  uint8
		dx   uint64
	}{
		{"memory, OUTSB", mem, []byte{0x6e}, 3, reset},
		{"memory, OUTSB of the kernel", mem, []byte{0x6e}, 0, reset},
		{"memory, INSB", mem, []byte{0x6c}, 3, reset},
		{"memory, LMSW", mem, []byte{0x0f, 0x01, 0x36}, 3, 0},
		{"memory, SMSW", mem, []byte{0x0f, 0x01, 0x26}, 0, 0},
		{"memory, OUT", mem, []byte{0xee}, 0, reset},
		{"port, another port", portExit(0x80, 1, false), []byte{0x6e}, 3, reset},
		{"port, another size", portExit(reset, 1, false), []byte{0x66, 0x6f}, 3, reset},
		{"port, another direction", portExit(reset, 1, true), []byte{0x6e}, 3, reset},
		{"port, a memory access", portExit(reset, 1, false), []byte{0x8b, 0x06}, 3, reset},
		{"CR read, MOV from CR3", vcpu.Exit{Reason: vcpu.CRRead}, []byte{0x0f, 0x20, 0xd8}, 3, 0},
		{"CR write by a user, CLTS", vcpu.Exit{Reason: vcpu.CRWrite}, []byte{0x0f, 0x06}, 3, 0},
		{"DR write by a user", vcpu.Exit{Reason: vcpu.DRWrite}, []byte{0x0f, 0x23, 0xc0}, 3, 0},
		{"ICEBP, INT3", vcpu.Exit{Reason: vcpu.Exception, Event: vcpu.Event{Type: vcpu.SoftException, Vector: x86.VecDB}}, []byte{0xcc}, 3, 0},
	} {
		g := newRig(t)
		d, v := g.guest("a")
		p := d.VCPUs[0]
		flat(t, p, c.code...)
		d.Write(0x2000, []byte{6, 0, 0, 0})
		v.Registers.RSI, v.Registers.RDI, v.Registers.RDX, v.Registers.RAX = 0x2000, 0x2000, c.dx, 7
		v.State[x86.CR0] |= x86.CR0TS
		p.Exit = c.x
		p.Exit.CPL = c.cpl
		regs, state := v.Registers, v.State
		a := handlers[c.x.Reason](g.r, p, &p.Exit)
		var b [4]byte
		d.Read(0x2000, b[:])
		if a != resume || v.Registers != regs || v.State != state || v.HasPending || b != [4]byte{6} || info(d).Shutdown != 0 {
			t.Errorf("%s: action %d, RIP %#x, RAX %#x, memory %x, pending %v, shutdown %d", c.name,
				a, v.State[x86.RIP], v.Registers.RAX, b, v.HasPending, info(d).Shutdown)
		}
	}
}

// A user program's instruction that is not emulated is its own fault; the
// kernel's ends the guest.
func TestNotEmulated(t *testing.T) {
	for _, cpl := range []uint8{0, 3} {
		g := newRig(t)
		d, v := g.guest("a")
		p := d.VCPUs[0]
		flat(t, p, 0x0f, 0x10, 0x06) // MOVUPS
		p.Exit = touch(0xf000_0000, false).Exit
		p.Exit.CPL = cpl
		memory(g.r, p, &p.Exit)
		if crashed := info(d).Shutdown == abi.ShutdownCrash; crashed != (cpl == 0) || v.HasPending != (cpl == 3) ||
			v.HasPending && v.Pending.Vector != x86.VecUD {
			t.Errorf("CPL %d: crashed %v, pending %v %+v", cpl, crashed, v.HasPending, v.Pending)
		}
	}
}

// Instructions that exit for what they do to CR0 get on, whatever their operand,
// as does INT1 on a CPU that does not tell lengths.
func TestProgress(t *testing.T) {
	const hole = 0xf000_0000
	icebp := vcpu.Exit{Reason: vcpu.Exception, Event: vcpu.Event{Type: vcpu.SoftException, Vector: x86.VecDB}}
	read, write := vcpu.Exit{Reason: vcpu.CRRead}, vcpu.Exit{Reason: vcpu.CRWrite}
	const cr0 = x86.CR0PE | x86.CR0ET | x86.CR0CD
	for _, c := range []struct {
		name     string
		x        vcpu.Exit
		cpl      uint8
		code     []byte
		rdi      uint64
		eax, cr0 uint64 // afterwards
		ram      uint16 // at 0x2000; 0x000e before
	}{
		{"SMSW EAX", read, 3, []byte{0x0f, 0x01, 0xe0}, 0, cr0, cr0, 0xe},
		{"SMSW AX", read, 0, []byte{0x66, 0x0f, 0x01, 0xe0}, 0, 0xffff_0000 | cr0&0xffff, cr0, 0xe},
		{"SMSW [RAM]", read, 3, []byte{0x0f, 0x01, 0x27}, 0x2000, 0xffff_ffff, cr0, cr0 & 0xffff},
		{"SMSW [nothing]", read, 0, []byte{0x0f, 0x01, 0x27}, hole, 0xffff_ffff, cr0, 0xe},
		{"LMSW [RAM]", write, 0, []byte{0x0f, 0x01, 0x37}, 0x2000, 0xffff_ffff, cr0 | 0xe, 0xe},
		{"LMSW [nothing]", write, 0, []byte{0x0f, 0x01, 0x37}, hole, 0xffff_ffff, cr0 | 0xe, 0xe},
		{"LMSW AX", write, 0, []byte{0x0f, 0x01, 0xf0}, 0, 0xffff_ffff, cr0 | 0xe, 0xe},
		{"INT1", icebp, 3, []byte{0xf1}, 0, 0xffff_ffff, cr0, 0xe},
	} {
		g := newRig(t)
		d, v := g.guest("a")
		p := d.VCPUs[0]
		flat(t, p, c.code...)
		d.Write(0x2000, []byte{0xe, 0})
		v.Registers.RDI, v.Registers.RAX, v.State[x86.CR0] = c.rdi, 0xffff_ffff, cr0
		p.Exit = c.x
		p.Exit.CPL = c.cpl
		handlers[c.x.Reason](g.r, p, &p.Exit)
		var b [2]byte
		d.Read(0x2000, b[:])
		ram := uint16(b[0]) | uint16(b[1])<<8
		if v.State[x86.RIP] != 0x1000+uint64(len(c.code)) || v.Registers.RAX != c.eax || v.State[x86.CR0] != c.cr0 || ram != c.ram {
			t.Errorf("%s: RIP %#x, RAX %#x, CR0 %#x, memory %#x; want EAX %#x, CR0 %#x, memory %#x", c.name,
				v.State[x86.RIP], v.Registers.RAX, v.State[x86.CR0], ram, c.eax, c.cr0, c.ram)
		}
		if c.name == "INT1" && (!v.HasPending || v.Pending.Vector != x86.VecDB) {
			t.Errorf("INT1: pending %v %+v", v.HasPending, v.Pending)
		}
	}
}

// LMSW from memory that dom0 serves waits for the answer.
func TestLMSWForwarded(t *testing.T) {
	const mmio = 0xd000_0000
	g := newRig(t)
	d, v := g.guest("a", vcputest.Step{Exit: vcpu.Exit{Reason: vcpu.CRWrite}}, exit(vcpu.HLT, 1))
	if st := d.Claim(abi.SpaceMemory, mmio, 0x1000, 0); st != abi.OK {
		t.Fatal(st)
	}
	flat(t, d.VCPUs[0], 0x0f, 0x01, 0x37) // LMSW [EDI]
	v.Registers.RDI = mmio
	d.Unpause()
	g.run()
	q := &d.IOReq.Slot[0]
	if q.State != abi.IOReqReady || q.Addr != mmio || q.Size != 2 {
		t.Fatalf("slot %+v", *q)
	}
	q.Data, q.State = x86.CR0TS, abi.IOReqDone
	if w := d.VCPUs[0]; w.Answered() {
		w.WakeHere(0, d.Machine().Now())
	}
	g.run()
	if want := uint64(x86.CR0PE | x86.CR0ET | x86.CR0TS); v.State[x86.CR0] != want || v.State[x86.RIP] != 0x1004 {
		t.Errorf("CR0 %#x, RIP %#x", v.State[x86.CR0], v.State[x86.RIP])
	}
}

// A locked instruction that is emulated on RAM does not overwrite what another
// vCPU has written since it read.
func TestLockedOnRAM(t *testing.T) {
	g := newRig(t)
	d, _ := g.guest("a")
	d.Write(0x2004, []byte{1, 2, 3, 4, 5})
	var w part.Window
	w.Use(d)
	for _, c := range []struct {
		gpa         uint64
		size        uint8
		old         uint64
		swapped, ok bool
	}{
		{0x2004, 4, 0x0403_0201, true, true}, {0x2004, 4, 0x0403_0201, false, true}, {0x2007, 1, 0xee, true, true},
		{0x2007, 2, 0, false, false}, {0xf000_0000, 4, 0, false, false},
	} {
		swapped, ok := w.Swap(mm.GPA(c.gpa), c.size, c.old, 0xeeee_eeee)
		if swapped != c.swapped || ok != c.ok {
			t.Errorf("%#x, %d bytes: %v %v", c.gpa, c.size, swapped, ok)
		}
	}
	var b [6]byte
	d.Read(0x2003, b[:])
	if b != [6]byte{0, 0xee, 0xee, 0xee, 0xee, 5} {
		t.Errorf("memory %x", b)
	}
}
