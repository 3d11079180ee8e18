// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vmx

import (
	"math/bits"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ringo/hv/vcpu"
	"ringo/hv/vcpu/vcputest"
	"ringo/hv/x86"
	"ringo/mm"
	"ringo/mm/pt"
)

// conforming is a machine under the conformance suite, whose guests do not run.
type conforming struct{ *machine }

func (c conforming) Backend() vcpu.Backend        { return c.machine.Backend }
func (c conforming) CPU() int                     { return 0 }
func (c conforming) RAM() []byte                  { return nil }
func (c conforming) Runs() bool                   { return false }
func (c conforming) NewVCPU(vcputest.T) vcpu.VCPU { return c.vcpu(c.tables()) }

func TestConformance(t *testing.T) {
	for _, r := range []Registers{broadwell(t), sandyBridge(t)} {
		vcputest.Conformance(t, conforming{newMachine(t, r, 1)})
	}
}

var cpuid = fakeExit{reason: reasonCPUID, length: 2}

// What the guest changed is read from the VMCS while it is there, and from the
// copy after Leave, on any CPU.
func TestLeave(t *testing.T) {
	m := newMachine(t, broadwell(t), 2)
	a, b := m.vcpu(m.tables()), m.vcpu(m.tables())
	var x vcpu.Exit
	e := cpuid
	e.guest = func(_ *testCPU, f map[uint32]uint64) {
		f[uint32(guestRSP)], f[uint32(guestCR3)], f[uint32(guestRFLAGS)] = 0x7000, 0x8000, 0x202
		f[uint32(guestESBase)+2*uint32(x86.GS)] = 0x9000
		f[uint32(guestRIP)] = 0x1234
	}
	run(a, 0, &x, e)
	check := func(when string) {
		t.Helper()
		for r, want := range map[x86.Reg]uint64{x86.RSP: 0x7000, x86.CR3: 0x8000, x86.RFLAGS: 0x202, x86.RIP: 0x1234} {
			if got := a.Get(r); got != want {
				t.Errorf("%s: register %d is %#x, want %#x", when, r, got, want)
			}
		}
		if got := a.Segment(x86.GS).Base; got != 0x9000 {
			t.Errorf("%s: GS base %#x", when, got)
		}
	}
	check("loaded")
	a.valid = stable // as the run has left it
	before := m.cpus[0].reads
	if a.Leave(); m.cpus[0].reads-before != bits.OnesCount64(fetching) {
		t.Errorf("%d VMREADs to leave", m.cpus[0].reads-before)
	}
	run(b, 0, &x, cpuid)
	check("left")
	run(b, 0, &x, cpuid)
	b.Leave()
	reads := m.cpus[0].reads
	a.Leave() // twice is as good as once
	a.Set(x86.RSP, 0x7700)
	if run(a, 1, &x, cpuid); m.cpus[1].current.fields[uint32(guestRSP)] != 0x7700 {
		t.Error("a change between two CPUs is lost")
	}
	if m.cpus[0].reads != reads {
		t.Error("the old CPU was asked again")
	}
	// Another vCPU takes the CPU: the first has left by itself.
	run(b, 1, &x, cpuid)
	if a.loaded || !b.loaded {
		t.Error("two vCPUs are loaded on one CPU")
	}
	run(a, 0, &x, cpuid)
	a.Set(x86.RSP, 0x7800)
	if a.Leave(); a.Get(x86.RSP) != 0x7800 {
		t.Error("a change just before it leaves is lost")
	}
	if run(a, 1, &x, cpuid); m.cpus[1].current.fields[uint32(guestRSP)] != 0x7800 {
		t.Error("a change just before it leaves is lost on the way")
	}
}

// Without Leave a vCPU must not come to another CPU.
func TestNoLeave(t *testing.T) {
	m := newMachine(t, broadwell(t), 2)
	v := m.vcpu(m.tables())
	var x vcpu.Exit
	run(v, 0, &x, cpuid)
	defer func() {
		if recover() == nil {
			t.Error("not noticed")
		}
	}()
	run(v, 1, &x, cpuid)
}

// Host state is the CPU's own.
func TestHostState(t *testing.T) {
	m := newMachine(t, broadwell(t), 2)
	v := m.vcpu(m.tables())
	var x vcpu.Exit
	for i := range 2 {
		run(v, i, &x, cpuid)
		if got := m.cpus[i].current.fields[uint32(hostFSBase)]; got != uint64(i+1) {
			t.Errorf("CPU %d: HOST_FS_BASE %d", i, got)
		}
		v.Leave()
	}
}

// MSRs that the CPU does not switch follow their vCPU, and no value that WRMSR
// refuses gets to it.
func TestMSRs(t *testing.T) {
	m := newMachine(t, broadwell(t), 2)
	a, b := m.vcpu(m.tables()), m.vcpu(m.tables())
	p, q := m.cpus[0], m.cpus[1]
	var x vcpu.Exit
	a.Set(x86.LSTAR, 0xffff_ffff_8000_1000)
	a.Set(x86.TSCAux, 7)
	run(a, 0, &x, cpuid)
	if p.msrs[x86.MSRLSTAR] != 0xffff_ffff_8000_1000 || p.msrs[x86.MSRTSCAux] != 7 {
		t.Errorf("%#x", p.msrs)
	}
	e := cpuid
	e.guest = func(p *testCPU, _ map[uint32]uint64) { p.msrs[x86.MSRLSTAR] = 0x5000 }
	run(a, 0, &x, e)
	if got := a.Get(x86.LSTAR); got != 0x5000 {
		t.Errorf("LSTAR %#x", got)
	}
	run(b, 0, &x, cpuid)
	if p.msrs[x86.MSRLSTAR] != 0 || p.msrs[x86.MSRTSCAux] != 0 || a.Get(x86.LSTAR) != 0x5000 {
		t.Errorf("another vCPU sees %#x; own %#x", p.msrs, a.Get(x86.LSTAR))
	}
	run(a, 1, &x, cpuid)
	if q.msrs[x86.MSRLSTAR] != 0x5000 {
		t.Errorf("on another CPU: %#x", q.msrs)
	}
	a.Set(x86.LSTAR, 1<<62)
	a.Set(x86.SFMASK, 1<<40|0x700)
	if q.msrs[x86.MSRLSTAR] != 0 || q.msrs[x86.MSRSFMASK] != 0x700 {
		t.Errorf("illegal values: %#x", q.msrs)
	}
}

// Debug registers are in the CPU only while their guest runs.
func TestDebug(t *testing.T) {
	m := newMachine(t, broadwell(t), 1)
	v := m.vcpu(m.tables())
	p := m.cpus[0]
	proc := func() uint64 { return p.current.fields[uint32(ctlProc)] }
	var x vcpu.Exit
	run(v, 0, &x, fakeExit{reason: reasonDR})
	if x.Reason != vcpu.DRAccess || proc()&procMOVDR == 0 {
		t.Errorf("%+v, controls %#x", x, proc())
	}
	touch := cpuid
	touch.guest = func(p *testCPU, f map[uint32]uint64) {
		if proc()&procMOVDR != 0 {
			t.Error("an access after the first still exits")
		}
		p.dr[0], f[uint32(guestDR7)] = 0x1111, 0x400
	}
	run(v, 0, &x, touch)
	if v.Get(x86.DR0) != 0x1111 {
		t.Errorf("DR0 %#x", v.Get(x86.DR0))
	}
	run(v, 0, &x, cpuid)
	if proc()&procMOVDR == 0 || v.todo != 0 {
		t.Errorf("still loaded: %#x, %b", proc(), v.todo)
	}
	// A breakpoint that is on is loaded each time.
	v.Set(x86.DR7, 0x401)
	p.dr = [5]uint64{}
	run(v, 0, &x, cpuid)
	if p.dr[0] != 0x1111 || v.todo&todoDebug == 0 {
		t.Errorf("not loaded: %#x", p.dr)
	}
	// #DB: the exit tells what DR6 shall be.
	run(v, 0, &x, fakeExit{reason: reasonException, intInfo: 0x8000_0301, qualification: 1 | dr6BS})
	if x.Event.Vector != x86.VecDB || v.Get(x86.DR6)&(15|dr6BS) != 1|dr6BS {
		t.Errorf("%+v, DR6 %#x", x, v.Get(x86.DR6))
	}
}

func (p *testCPU) take() []flush {
	f := p.flushes
	p.flushes = nil
	return f
}

// Translations are dropped when a vCPU comes to a CPU, when its tables lose
// something, and when a control register changes.
func TestFlush(t *testing.T) {
	m := newMachine(t, broadwell(t), 2)
	v := m.vcpu(m.tables())
	ept, vpid := flush{false, invSingle, v.eptp}, flush{true, invSingle, uint64(v.vpid)}
	var x vcpu.Exit
	expect := func(when string, cpu int, want ...flush) {
		t.Helper()
		run(v, cpu, &x, cpuid)
		if got := m.cpus[cpu].take(); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", when, got, want)
		}
	}
	run(v, 0, &x, cpuid)
	if got := m.cpus[0].take(); !slices.Contains(got, ept) || !slices.Contains(got, vpid) {
		t.Errorf("first entry: %v", got)
	}
	expect("nothing new", 0)
	if err := v.tables.Map(0x1000, 0x2000, mm.PageSize, pt.Read); err != nil {
		t.Fatal(err)
	}
	if _, err := v.tables.Unmap(0x1000, mm.PageSize); err != nil {
		t.Fatal(err)
	}
	expect("unmapped", 0, ept)
	v.Set(x86.CR4, v.Get(x86.CR4)|x86.CR4PGE)
	expect("CR4", 0, vpid)
	v.Leave()
	expect("same CPU again", 0)
	v.Leave()
	expect("another CPU", 1, ept, vpid)
	v.Leave()
	expect("and back", 0, ept, vpid)
}

func TestNoVPID(t *testing.T) {
	r := broadwell(t)
	r.Proc2 &^= proc2VPID << 32
	m := newMachine(t, r, 1)
	v := m.vcpu(m.tables())
	var x vcpu.Exit
	run(v, 0, &x, cpuid)
	v.Set(x86.CR3, 0x1000)
	run(v, 0, &x, cpuid)
	for _, f := range m.cpus[0].take() {
		if f.vpid {
			t.Error("INVVPID on a CPU without VPID")
		}
	}
	if _, ok := m.cpus[0].current.fields[uint32(ctlVPID)]; ok || v.vpid != 0 {
		t.Error("a VPID on a CPU without")
	}
}

// A vCPU of its own identifier, returned at the end.
func TestVPIDs(t *testing.T) {
	var s vpids
	seen := map[uint16]bool{}
	for range maxVPID {
		id := s.take()
		if id == 0 || seen[id] {
			t.Fatalf("identifier %d after %d", id, len(seen))
		}
		seen[id] = true
	}
	if id := s.take(); id != 0 {
		t.Errorf("identifier %d when all are in use", id)
	}
	s.put(77)
	if id := s.take(); id != 77 {
		t.Errorf("identifier %d, want the free one", id)
	}
}

// Under PAE paging the entries that the CPU keeps come from guest memory.
func TestPDPTEs(t *testing.T) {
	m := newMachine(t, broadwell(t), 1)
	v := m.vcpu(m.tables())
	frame, _ := m.env.Pages(1)
	if err := v.tables.Map(0x5000, frame, mm.PageSize, pt.RWX); err != nil {
		t.Fatal(err)
	}
	for i := range mm.HPA(4) {
		m.env.Phys.Store64(frame+0x20+8*i, uint64(0x1001+0x1000*i))
	}
	v.Set(x86.CR3, 0x5020)
	v.Set(x86.CR4, x86.CR4PAE)
	v.Set(x86.CR0, x86.CR0PE|x86.CR0ET|x86.CR0PG)
	var x vcpu.Exit
	run(v, 0, &x, cpuid)
	for i := range uint32(4) {
		if got := m.cpus[0].current.fields[uint32(guestPDPTE0)+2*i]; got != uint64(0x1001+0x1000*i) {
			t.Errorf("PDPTE%d %#x", i, got)
		}
	}
	v.Set(x86.CR3, 0x9000) // not in its memory
	run(v, 0, &x, cpuid)
	if got := m.cpus[0].current.fields[uint32(guestPDPTE0)]; got != 0 {
		t.Errorf("PDPTE0 %#x from outside", got)
	}
}

// The guest's view and the CPU's.
func TestControlRegisters(t *testing.T) {
	m := newMachine(t, broadwell(t), 1)
	v := m.vcpu(m.tables())
	v.Set(x86.EFER, x86.EFERLME)
	v.Set(x86.CR4, x86.CR4PAE)
	v.Set(x86.CR0, x86.CR0PE|x86.CR0ET|x86.CR0PG|x86.CR0CD|x86.CR0NW)
	var x vcpu.Exit
	run(v, 0, &x, cpuid)
	f := m.cpus[0].current.fields
	for _, tt := range []struct {
		name      string
		got, want uint64
	}{
		{"CR0", f[uint32(guestCR0)], x86.CR0PE | x86.CR0ET | x86.CR0PG | x86.CR0NE},
		{"CR0 shadow", f[uint32(ctlCR0Shadow)], x86.CR0PE | x86.CR0ET | x86.CR0PG | x86.CR0CD | x86.CR0NW},
		{"CR4", f[uint32(guestCR4)], x86.CR4PAE | x86.CR4MCE | x86.CR4VMXE},
		{"CR4 shadow", f[uint32(ctlCR4Shadow)], x86.CR4PAE},
		{"EFER", f[uint32(guestEFER)], x86.EFERLME | x86.EFERLMA},
		{"entry", f[uint32(ctlEntry)] & entryLongMode, entryLongMode},
		{"CR0 by Get", v.Get(x86.CR0), x86.CR0PE | x86.CR0ET | x86.CR0PG | x86.CR0CD | x86.CR0NW},
	} {
		if tt.got != tt.want {
			t.Errorf("%s %#x, want %#x", tt.name, tt.got, tt.want)
		}
	}
}

func TestAdvance(t *testing.T) {
	_, v := running(t)
	v.Set(x86.RIP, 0xffff_ffff)
	v.Advance(2)
	if got := v.Get(x86.RIP); got != 1 {
		t.Errorf("RIP %#x: EIP wraps", got)
	}
	v.Set(x86.RIP, 0xffff_ffff_8000_0000)
	v.setInterrupt(blockedSTI | blockedNMI)
	v.Advance(2)
	if got := v.Get(x86.RIP); got != 0xffff_ffff_8000_0002 || v.frame.interrupt != blockedNMI {
		t.Errorf("RIP %#x, blocking %#x", got, v.frame.interrupt)
	}
}

// A frequent exit costs no VMREAD here (the entry code makes six) and no
// VMWRITE (the entry code makes one, of RIP), and nothing allocates.
func TestQuickExits(t *testing.T) {
	m, v := running(t)
	var x vcpu.Exit
	p := m.cpus[0]
	for reason, want := range map[uint64]vcpu.Reason{
		reasonCPUID: vcpu.CPUID, reasonHLT: vcpu.HLT, reasonVMCALL: vcpu.Hypercall, reasonRDMSR: vcpu.RDMSR, reasonWRMSR: vcpu.WRMSR,
	} {
		run(v, 0, &x, fakeExit{reason: reason, length: 2})
		reads, writes := p.reads, p.writes
		run(v, 0, &x, fakeExit{reason: reason, length: 2})
		if !x.Ahead || v.Get(x86.RIP) != x.RIP+2 {
			t.Errorf("reason %d: RIP %#x, not behind the instruction at %#x", reason, v.Get(x86.RIP), x.RIP)
		}
		if x.Reason != want || x.Len != 2 || p.reads != reads || p.writes != writes {
			t.Errorf("reason %d: %+v, %d VMREADs, %d VMWRITEs", reason, x, p.reads-reads, p.writes-writes)
		}
	}
	io := []fakeExit{{reason: reasonIO, length: 1, qualification: 0x80_0009}}
	run(v, 0, &x, io...)
	reads, writes := p.reads, p.writes
	run(v, 0, &x, io...)
	if want := (vcpu.IOExit{Port: 0x80, Size: 2, In: true}); x.Reason != vcpu.IO || x.IO != want || x.Len != 1 || p.reads != reads || p.writes != writes {
		t.Errorf("port: %+v, %d VMREADs, %d VMWRITEs", x, p.reads-reads, p.writes-writes)
	}
	m.pretend = func(v *VCPU) {
		io[0].happen(v, p)
	}
	if n := testing.AllocsPerRun(100, func() {
		v.Run(0, &x)
		v.Advance(x.Len)
		v.Inject(irq(0x30))
		v.Leave()
	}); n != 0 {
		t.Errorf("%v allocations per exit", n)
	}
}

// The entry code's share: four VMREADs of every exit, one of exceptions, and one of
// exits with a qualification or of those without; VMWRITEs of RIP and, when the stack has moved, RSP.
// With TestQuickExits that is the cost of a CPUID exit, for which issue 3 allows 8
// and 3.
func TestEntryCode(t *testing.T) {
	text, err := os.ReadFile("enter_amd64.s")
	if err != nil {
		t.Fatal(err)
	}
	code := regexp.MustCompile("(?m)//.*$").ReplaceAllString(string(text), "")
	reads, writes := strings.Count(code, "VMREADDI"), strings.Count(code, "VMWRITEAX")
	if reads != 4+1+1+1 || writes != 2 || reads > 8 || writes > 3 {
		t.Errorf("%d VMREADs and %d VMWRITEs", reads, writes)
	}
}

// Memory comes back scrubbed, and errors leave nothing behind.
func TestMemory(t *testing.T) {
	m := newMachine(t, broadwell(t), 1)
	before := len(m.env.Owned)
	tables := m.tables()
	owned := len(m.env.Owned)
	v := m.vcpu(tables)
	var x vcpu.Exit
	run(v, 0, &x, cpuid)
	v.Free()
	v.Free()
	if len(m.env.Owned) != owned || before >= owned {
		t.Errorf("%d regions owned, %d before", len(m.env.Owned), owned)
	}
	if m.Backend.cpus[0].loaded != nil {
		t.Error("a freed vCPU is loaded")
	}
	m.env.Fail = true
	if _, err := m.NewVCPU(tables); err == nil {
		t.Error("no error without memory")
	}
	if _, err := New(&m.env.Env, broadwell(t)); err == nil {
		t.Error("no error without memory")
	}
}

// Kick and refused entries.
func TestKick(t *testing.T) {
	_, v := running(t)
	v.Kick()
	if v.frame.kick.Load() == 0 {
		t.Error("not kicked")
	}
	var x vcpu.Exit
	v.fpu = fpuPretend
	v.b.pretend = func(v *VCPU) { v.frame.reason = reasonRefused }
	row := v.frame.meter.Row
	v.Run(0, &x)
	if v.frame.meter.Row != row {
		t.Error("a refused entry counts as an exit")
	}
	if x.Reason != vcpu.Interrupted || x.RIP != 0x1000 || v.frame.kick.Load() != 0 {
		t.Errorf("%+v", x)
	}
}

// Bitmaps deny what is not listed.
func TestBitmaps(t *testing.T) {
	m := newMachine(t, broadwell(t), 1)
	allow := map[uint32]bool{}
	for _, msr := range passThrough {
		allow[msr] = true
	}
	at := m.maps + ioPages*mm.PageSize
	bit := func(off mm.HPA, n uint64) bool { return m.env.Phys.Load64(at+off+mm.HPA(n/64*8))>>(n%64)&1 != 0 }
	for _, base := range []uint32{0, 0xc000_0000} {
		for i := range uint32(0x2000) {
			n, ok := msrBit(base + i)
			if !ok || bit(0, n) == allow[base+i] || bit(writeHalf, n) == allow[base+i] {
				t.Fatalf("MSR %#x: covered %v, allowed %v", base+i, ok, allow[base+i])
			}
		}
	}
	for _, msr := range []uint32{0x2000, 0x4000_0000, 0xc000_2000, 0xc001_0000} {
		if _, ok := msrBit(msr); ok {
			t.Errorf("MSR %#x is in the bitmap", msr)
		}
	}
	for a := m.maps; a < at; a += 8 {
		if m.env.Phys.Load64(a) != ^uint64(0) {
			t.Fatalf("ports at %#x are open", a-m.maps)
		}
	}
}
