// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vcputest

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	"ringo/hv/internal/vlapic"
	"ringo/hv/vcpu"
	"ringo/hv/x86"
)

// The cases of this file run scripts of local APIC operations twice: by a guest,
// whose interrupts the CPU delivers where it can, and by the software model alone.
// Both must be in the same state after each operation.

func apicCases() []Case {
	return []Case{
		{"local APIC: priorities and nesting", true, testAPICNesting},
		{"local APIC: TPR holds interrupts back", true, testAPICThreshold},
		{"local APIC: the end of a level-triggered interrupt is reported", true, testAPICLevel},
		{"local APIC: registers are closed outside x2APIC mode", true, testAPICModes},
		{"local APIC: a SELF IPI without a legal vector is an error", true, testAPICSelf},
		{"local APIC: random scripts give what the software model gives", true, testAPICRandom},
	}
}

// lapic is a local APIC with what surrounds it.
type lapic struct {
	*vlapic.LAPIC
	ended []uint8 // level-triggered interrupts
}

// ioapic notes the ends of level-triggered interrupts.
type ioapic struct{ l *lapic }

func (i ioapic) EOI(v uint8) { i.l.ended = append(i.l.ended, v) }

// idle is a vCPU that needs no kicks.
type idle struct{}

func (idle) Kick()         {}
func (idle) NMI()          {}
func (idle) Init()         {}
func (idle) Startup(uint8) {}

// newLAPIC makes one in x2APIC mode, software enabled.
func newLAPIC() *lapic {
	l := &lapic{}
	set := vlapic.NewSet(1e9, []vlapic.Sink{idle{}})
	set.OnEOI(ioapic{l})
	l.LAPIC = set.CPU(0)
	l.WriteMSR(x86.MSRAPICBase, baseX2, 0) // time stands still
	l.WriteMSR(x2(0x0f), 0x1ff, 0)
	return l
}

// outside does what comes from outside the guest.
func (l *lapic) outside(k opKind, val uint32) {
	switch k {
	case opPost, opLevel:
		l.SetIRR(uint8(val), k == opLevel)
	case opLeave:
		s := l.Export(0)
		if l.Import(&s, 0) != nil {
			panic("vcputest: a local APIC does not take its own state")
		}
	}
}

// model runs a script in software. It returns the log and the dumps.
func (l *lapic) model(script []apicOp) (log []byte, dumps []uint32) {
	for _, o := range script {
		switch o.kind {
		case opWrite:
			l.WriteMSR(o.msr, uint64(o.val), 0)
		case opCR8:
			l.SetCR8(uint8(o.val))
		case opWindow:
			for v, ok := l.Pending(); ok; v, ok = l.Pending() {
				l.Ack(v)
				log = append(log, v)
			}
		default:
			l.outside(o.kind, o.val)
		}
		for _, msr := range dumped {
			val, ok := l.ReadMSR(msr, 0)
			if !ok {
				val = 0xffff_ffff
			}
			dumps = append(dumps, uint32(val))
		}
	}
	return log, dumps
}

// apicRun is a guest with a local APIC, and the exits that it made.
type apicRun struct {
	v      vcpu.VCPU
	l      *lapic
	reads  map[uint32]int // RDMSR exits by MSR
	writes map[uint32]int // WRMSR exits by MSR
	done   int            // APICWrite
	breaks int            // the host's interrupts
}

// sync is what the run loop does when it needs the task priority.
func (r *apicRun) sync() {
	if class, ok := r.l.SyncCR8(uint8(r.v.Get(x86.CR8))); ok {
		r.v.Set(x86.CR8, uint64(class))
	}
}

// deliver is what the run loop does before an entry.
func (r *apicRun) deliver() {
	r.sync()
	if r.l.Virtual() {
		r.l.Load()
		return
	}
	if vec, ok := r.l.Pending(); ok && r.v.Inject(irq(vec)) {
		r.l.Ack(vec)
	}
	if class, changed := r.l.Threshold(); changed {
		r.v.Set(x86.TPRThreshold, uint64(class))
	}
}

// run executes the guest to its HLT.
func (r *apicRun) run(t T, m Machine) bool {
	g := r.v.Regs()
	var x vcpu.Exit
	for range 1 << 20 {
		r.deliver()
		r.v.Run(m.CPU(), &x)
		switch x.Reason {
		case vcpu.Interrupted, vcpu.Tick:
			r.breaks++
			continue
		case vcpu.Window:
			continue
		case vcpu.HLT:
			return true
		case vcpu.APICWrite:
			r.done++
			r.l.Wrote(x.APIC.Reg, x.APIC.Vector)
			continue
		case vcpu.RDMSR:
			r.reads[uint32(g.RCX)]++
			r.sync()
			val, ok := r.l.ReadMSR(uint32(g.RCX), 0)
			if !ok {
				val = 0xffff_ffff // stands for #GP
			}
			g.RAX, g.RDX = val&0xffff_ffff, val>>32
		case vcpu.WRMSR:
			r.writes[uint32(g.RCX)]++
			r.l.WriteMSR(uint32(g.RCX), g.RDX<<32|g.RAX&0xffff_ffff, 0)
		case vcpu.CRWrite:
			r.v.Set(x86.CR8, g.RAX)
			Skip(r.v, &x, 4)
			continue
		case vcpu.CPUID:
			if k := opKind(g.RCX); k == opLeave {
				r.v.Leave()
				r.l.outside(k, 0)
			} else {
				r.l.outside(k, uint32(g.RAX))
			}
		default:
			t.Errorf("unexpected exit %+v", x)
			return false
		}
		Skip(r.v, &x, Length(&x))
	}
	t.Errorf("the guest does not end: RIP %#x", x.RIP)
	return false
}

// local is the LocalAPIC of v, through wrappers.
func local(v vcpu.VCPU) (vcpu.LocalAPIC, bool) {
	if w, ok := v.(interface{ Unwrap() vcpu.VCPU }); ok {
		v = w.Unwrap()
	}
	hw, ok := v.(vcpu.LocalAPIC)
	return hw, ok
}

// bootAPIC makes a guest of a script.
func bootAPIC(m Machine, v vcpu.VCPU, script []apicOp) *apicRun {
	dump := emitDump()
	var code []byte
	for _, o := range script {
		code = append(code, o.emit()...)
		code = append(code, dump...)
	}
	Boot64(m, v, append(code, 0xf4))
	apicHandlers(m, v)
	r := &apicRun{v: v, l: newLAPIC(), reads: map[uint32]int{}, writes: map[uint32]int{}}
	if hw, ok := local(v); ok && m.Backend().Caps().VirtualAPIC {
		r.l.Attach(hw)
	}
	return r
}

// apicHandlers gives every vector a handler that appends it to an empty log.
func apicHandlers(m Machine, v vcpu.VCPU) {
	ram := m.RAM()
	clear(ram[apicStub : apicStub+16*256])
	for vec := 16; vec < 256; vec++ {
		Handler(m, uint8(vec), uint64(apicStub+16*vec))
		// mov byte [r15], vec; inc r15; iretq
		copy(ram[apicStub+16*vec:], []byte{0x41, 0xc6, 0x07, byte(vec), 0x49, 0xff, 0xc7, 0x48, 0xcf})
	}
	v.Regs().R14, v.Regs().R15 = apicDump, apicLog
}

// maxOps keeps code and dumps in their places.
const maxOps = 200

// sameAPIC runs script both ways and compares. The result is nil when they
// differ.
//
// Bochs 2.7 delivers a virtual interrupt that is pending although RFLAGS.IF is
// clear, when an interrupt of the host arrives (InterruptAcknowledge looks at what
// is pending, not at what is masked). So a script that differs after such an
// interrupt came is tried again: an error of ours needs none.
func sameAPIC(t T, m Machine, script ...apicOp) *apicRun {
	if len(script) > maxOps {
		t.Fatalf("the script is too long: %d", len(script))
	}
	const tries = 10
	for try := 1; ; try++ {
		r, difference := tryAPIC(t, m, script)
		if difference == "" {
			return r
		}
		if r.breaks == 0 || try == tries {
			t.Errorf("%s; script %v", difference, script)
			return nil
		}
	}
}

// tryAPIC says what differs, if anything.
func tryAPIC(t T, m Machine, script []apicOp) (r *apicRun, difference string) {
	v := m.NewVCPU(t)
	defer v.Free()
	r = bootAPIC(m, v, script)
	if r.l.Virtual() != m.Backend().Caps().VirtualAPIC {
		t.Errorf("Caps.VirtualAPIC is %v, the vCPU has no such page or has one", m.Backend().Caps().VirtualAPIC)
	}
	if !r.run(t, m) {
		return r, "it does not end"
	}
	want := newLAPIC()
	log, dumps := want.model(script)
	ram := m.RAM()
	if got := ram[apicLog : apicLog+len(log)+1]; string(got) != string(log)+"\x00" {
		return r, fmt.Sprintf("delivered %x, want %x", got, log)
	}
	if string(r.l.ended) != string(want.ended) {
		return r, fmt.Sprintf("ended %x, want %x", r.l.ended, want.ended)
	}
	for i, w := range dumps {
		if got := binary.LittleEndian.Uint32(ram[apicDump+4*i:]); got != w {
			op := i / len(dumped)
			return r, fmt.Sprintf("after operation %d %+v: MSR %#x is %#x, want %#x", op, script[op], dumped[i%len(dumped)], got, w)
		}
	}
	return r, ""
}

// exitless checks that what a CPU with a virtual local APIC does by itself made
// no exit.
func (r *apicRun) exitless(t T) {
	if !r.l.Virtual() {
		return
	}
	for _, msr := range []uint32{x2(x86.APICTPR), x2(x86.APICEOI), x2(0x3f)} {
		if r.writes[msr] != 0 {
			t.Errorf("%d exits of writes to MSR %#x", r.writes[msr], msr)
		}
	}
	for _, msr := range dumped {
		if r.reads[msr] != 0 {
			t.Errorf("%d exits of reads of MSR %#x", r.reads[msr], msr)
		}
	}
}

func testAPICNesting(t T, m Machine) {
	r := sameAPIC(t, m, self(0x31), self(0x62), self(0x35), window, // 62 first, nothing over it
		self(0x91), window, self(0x63), window, // 91 interrupts 62; 63 is no higher class
		eoi, eoi, window, eoi, eoi, eoi, window, eoi) // unwinds, one spurious
	if r != nil {
		r.exitless(t)
		if r.done != 0 {
			t.Errorf("%d exits for the ends of edge-triggered interrupts", r.done)
		}
	}
}

func testAPICThreshold(t T, m Machine) {
	r := sameAPIC(t, m, tpr(0x50), self(0x45), self(0x58), window, tpr(0x4f), window, tpr(0x3a), window,
		eoi, window, eoi, cr8(15), post(0xf3), window, cr8(14), window, eoi,
		cr8(4), tpr(0x47), post(0x48), leave, window, cr8(3), window, eoi)
	if r != nil {
		r.exitless(t)
	}
	// Lowered with interrupts on, the priority lets the interrupt through at
	// once: without an exit between, nobody else would notice.
	v := m.NewVCPU(t)
	defer v.Free()
	a := bootAPIC(m, v, []apicOp{cr8(9), post(0x85), {kind: opWindow}})
	code := append(cr8(9).emit(), post(0x85).emit()...)
	code = append(code, 0xfb)             // sti
	code = append(code, cr8(7).emit()...) //
	code = append(code, 0xfa, 0xf4)       // cli; hlt
	copy(m.RAM()[GuestCode:], code)
	if a.run(t, m) && m.RAM()[apicLog] != 0x85 {
		t.Errorf("CR8 was lowered, and the interrupt did not come")
	}
}

func testAPICLevel(t T, m Machine) {
	r := sameAPIC(t, m, level(0x71), post(0x72), window, eoi, window, eoi, // 72 goes first
		level(0x33), self(0x44), window, eoi, window, eoi,
		level(0x90), leave, window, leave, level(0x91), window, eoi, window, eoi, // 91 waits for 90
		post(0x90), window, eoi) // edge-triggered by now
	if r == nil {
		return
	}
	r.exitless(t)
	if string(r.l.ended) != "\x71\x33\x90\x91" {
		t.Errorf("ended: %x", r.l.ended)
	}
	if n := len(r.l.ended); r.l.Virtual() && (r.done < n || r.done > n+1) {
		t.Errorf("%d exits for %d ends", r.done, n)
	}
}

func testAPICModes(t T, m Machine) {
	script := []apicOp{self(0x40), post(0x51), window, tpr(0x20)}
	script = append(script, again...) // all is forgotten
	script = append(script, window, self(0x40), window, eoi,
		apicOp{opWrite, x2(0x0f), 0xff}, // software disable: SELF IPI has no effect
		self(0x60), window, apicOp{opWrite, x2(0x0f), 0x1ff}, window, self(0x61), window, eoi)
	r := sameAPIC(t, m, script...)
	if r == nil || !r.l.Virtual() {
		return
	}
	// Off and in xAPIC mode, every access to the MSRs exits.
	if got := r.reads[x2(x86.APICTPR)]; got < 2 {
		t.Errorf("%d exits of reads of TPR outside x2APIC mode", got)
	}
}

func testAPICSelf(t T, m Machine) {
	const regESR = 0x28
	r := sameAPIC(t, m, self(5), apicOp{opWrite, x2(regESR), 0}, self(0x50), window, eoi)
	if r == nil {
		return
	}
	if got, _ := r.l.ReadMSR(x2(regESR), 0); got != 1<<5 {
		t.Errorf("ESR %#x", got)
	}
}

// testAPICRandom makes scripts of what a guest and its surroundings can do.
func testAPICRandom(t T, m Machine) {
	for seed := range uint64(8) {
		rng := rand.New(rand.NewPCG(seed, 7))
		var script []apicOp
		for len(script) < maxOps-len(again) {
			vec := 16 + rng.Uint32N(240)
			switch n := rng.IntN(100); {
			case n < 22:
				script = append(script, self(vec&^1))
			case n < 32:
				script = append(script, post(vec))
			case n < 40:
				// SELF IPI leaves TMR alone where the CPU executes it: level-
				// triggered interrupts have odd vectors.
				script = append(script, level(vec|1))
			case n < 55:
				script = append(script, window)
			case n < 80:
				script = append(script, eoi)
			case n < 88:
				// The low half has no effect, and MOV to CR8 clears it only
				// where the CPU executes that.
				script = append(script, tpr(rng.Uint32N(16)<<4))
			case n < 94:
				script = append(script, cr8(rng.Uint32N(16)))
			case n < 97:
				script = append(script, leave)
			case n < 99:
				script = append(script, apicOp{opWrite, x2(0x0f), 0xff | rng.Uint32N(2)<<8})
			default:
				script = append(script, again...)
			}
		}
		if sameAPIC(t, m, script...) == nil {
			t.Logf("seed %d", seed)
			return
		}
	}
}
