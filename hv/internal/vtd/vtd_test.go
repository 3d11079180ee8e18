// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vtd

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/hv/abi"
	"ringo/hv/internal/iommu"
	"ringo/hv/internal/iommu/iommutest"
	"ringo/mm"
)

// open makes one unit's IOMMU, or fails the test.
func open(t *testing.T, caps, ecap uint64) (*iommutest.Host, *fake, *Units) {
	t.Helper()
	h := iommutest.NewHost(t)
	f := newFake(h, caps, ecap)
	o, err := Open(&h.Host, Config{
		Units: []Unit{{Base: 0xfed90000, Regs: f}}, Remap: true, Chips: []Source{{0, 0xff00}},
		FaultAddress: 0xfee00000, FaultData: 0x51,
	})
	if err != nil {
		t.Fatal(err)
	}
	return h, f, o
}

func enable(t *testing.T, f *fake, o *Units) {
	t.Helper()
	if err := o.Enable(); err != nil {
		t.Fatal(err)
	}
	f.take()
}

// TestEnable: the order that the manual wants, on a unit that firmware has left on.
func TestEnable(t *testing.T) {
	h, f, o := open(t, fakeCap, fakeECap)
	f.Words[regGSts] = gTranslate | gRemap | gQueue | gCompatible
	f.Words[regPMEn] = 1 << 31
	f.record(0, 0x18, 6, 0x1000, true)
	f.status(fstsPending | fstsQueue) // firmware's queue had stopped
	if err := o.Enable(); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"translate false", "remap false", "queue false",
		"root", "register 0x28 0xa000000000000000", "register 0xf8 0x9003000000000000",
		"queue true", "0x11 0x0", "0xd2 0x0", "0x4 0x0",
		"irt", "0x4 0x0", "compatible false", "remap true", "translate true",
	}
	if d := cmp.Diff(want, f.take()); d != "" {
		t.Error(d)
	}
	if f.Words[regPMEn] != 0 || f.Words[regFECtl] != 0 || f.Words[regFEData] != 0x51 {
		t.Errorf("protected memory %#x, fault control %#x, data %#x", f.Words[regPMEn], f.Words[regFECtl], f.Words[regFEData])
	}
	root := mm.HPA(f.Get(regRoot))
	if got := h.Quads(root); got != "0x0 0x0" || f.Get(regIRTA)&0xfff != irtaSize {
		t.Errorf("root table %s, IRTA %#x", got, f.Get(regIRTA))
	}
	if got, want := o.String(), "VT-d, 1 unit, 39 bits"; got != want || !o.Remaps() {
		t.Errorf("%q, want %q", got, want)
	}
	if o.Tags() != 1<<16-1 {
		t.Error(o.Tags())
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, c := range []struct {
		name       string
		caps, ecap uint64
		change     func(f *fake)
		want       string
	}{
		{"nobody", fakeCap, fakeECap, func(f *fake) { f.Gone = true }, "does not answer"},
		{"no queue", fakeCap, fakeECap &^ ecapQueue, nil, "no queued invalidation"},
		{"five levels only", fakeCap &^ (cap39 | cap48), fakeECap, nil, "three or four levels"},
	} {
		h := iommutest.NewHost(t)
		f := newFake(h, c.caps, c.ecap)
		if c.change != nil {
			c.change(f)
		}
		_, err := Open(&h.Host, Config{Units: []Unit{{Base: 0xfed90000, Regs: f}}})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if _, err := Open(&iommutest.NewHost(t).Host, Config{}); err == nil {
		t.Error("no unit is an IOMMU")
	}
}

// TestEnableFails: whatever a unit does not do ends in an error, without a hang.
func TestEnableFails(t *testing.T) {
	for _, c := range []struct {
		name   string
		script func(f *fake, reg uint32, n int, v uint64) uint64
	}{
		{"root is not taken", func(_ *fake, reg uint32, _ int, v uint64) uint64 {
			if reg == regGSts {
				return v &^ gSetRoot
			}
			return v
		}},
		{"translation stays off", func(_ *fake, reg uint32, _ int, v uint64) uint64 {
			if reg == regGSts {
				return v &^ gTranslate
			}
			return v
		}},
		{"interrupts stay as they are", func(_ *fake, reg uint32, _ int, v uint64) uint64 {
			if reg == regGSts {
				return v &^ gRemap
			}
			return v
		}},
		{"contexts are not forgotten", func(_ *fake, reg uint32, _ int, v uint64) uint64 {
			if reg == regCCmd {
				return v | 1<<63
			}
			return v
		}},
		{"translations are not forgotten", func(_ *fake, reg uint32, _ int, v uint64) uint64 {
			if reg == 0xf8 {
				return v | 1<<63
			}
			return v
		}},
		{"the queue stands still", func(f *fake, reg uint32, _ int, v uint64) uint64 {
			f.stuck = true
			return v
		}},
		{"it goes away", func(f *fake, reg uint32, n int, v uint64) uint64 {
			f.Gone = reg == regGSts && n == 4
			return v
		}},
	} {
		_, f, o := open(t, fakeCap, fakeECap)
		f.Script = func(reg uint32, n int, v uint64) uint64 { return c.script(f, reg, n, v) }
		if err := o.Enable(); err == nil {
			t.Errorf("%s: no error", c.name)
		}
	}
}

// TestAttach: entries, and what is invalidated, by capabilities.
func TestAttach(t *testing.T) {
	const root, tag = 0x123000, 5
	a := abi.NewPCIAddr(0, 3, 2, 1)
	for _, c := range []struct {
		name         string
		caps, ecap   uint64
		entry        string
		attach, deny []string
	}{
		{"QEMU", fakeCap, fakeECap, "0x123001 0x501", nil, []string{"0x1100050031 0x0", "0x500e2 0x0"}},
		{"four levels", fakeCap | cap48, fakeECap, "0x123001 0x502", nil, []string{"0x1100050031 0x0", "0x500e2 0x0"}},
		{"caching mode", fakeCap | capCaching, fakeECap, "0x123001 0x501",
			[]string{"0x1100000031 0x0", "0xe2 0x0"}, []string{"0x1100050031 0x0", "0x500e2 0x0"}},
		{"write buffers", fakeCap | capRWBF, fakeECap, "0x123001 0x501",
			[]string{"write back"}, []string{"write back", "0x1100050031 0x0", "0x500e2 0x0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, f, o := open(t, c.caps, c.ecap)
			enable(t, f, o)
			if err := o.Attach(a, root, tag); err != nil {
				t.Fatal(err)
			}
			bus := h.Mem.Load64(mm.HPA(f.Get(regRoot)) + 3*16)
			at := mm.HPA(bus&^0xfff) + 0x11*16
			if bus&1 == 0 || h.Quads(at) != c.entry {
				t.Errorf("root entry %#x, context entry %s, want %s", bus, h.Quads(at), c.entry)
			}
			if got := f.take(); !cmp.Equal(got, fix(c.attach)) {
				t.Errorf("attach: %q, want %q", got, fix(c.attach))
			}
			o.Deny(a)
			if h.Mem.Load64(at) != ctxSilent {
				t.Errorf("denied: %s", h.Quads(at))
			}
			if got := f.take(); !cmp.Equal(got, fix(c.deny)) {
				t.Errorf("deny: %q, want %q", got, fix(c.deny))
			}
			if err := o.Attach(abi.NewPCIAddr(7, 0, 0, 0), root, tag); err == nil {
				t.Error("a segment without a unit")
			}
		})
	}
}

// fix puts the source of TestAttach's function where descriptors have it.
func fix(in []string) (out []string) {
	for _, s := range in {
		out = append(out, strings.Replace(strings.Replace(s, "0x1100050031", "0x31100050031", 1), "0x1100000031", "0x31100000031", 1))
	}
	return out
}

// TestWrittenBack: what a unit that does not snoop reads was written back, all of it;
// of one that does, nothing.
func TestWrittenBack(t *testing.T) {
	for _, ecap := range []uint64{fakeECap, fakeECap | ecapCoherent} {
		h, f, o := open(t, fakeCap, ecap)
		enable(t, f, o)
		h.Back = map[mm.HPA]bool{}
		if err := o.Attach(0x10, 0x123000, 1); err != nil {
			t.Fatal(err)
		}
		root := mm.HPA(f.Get(regRoot))
		at := mm.HPA(h.Mem.Load64(root)&^0xfff) + 0x10*16
		snoops := ecap&ecapCoherent != 0
		for _, a := range []mm.HPA{root, at, at + 8, at &^ 0xfff} {
			if h.Back[a] == snoops {
				t.Errorf("coherent %v: %#x written back: %v", snoops, a, h.Back[a])
			}
		}
		o.Mark()
		if at := mm.HPA(f.Get(regQueue) + f.Get(regQueueHead)); h.Back[at-16] == snoops || h.Back[at-8] == snoops {
			t.Errorf("coherent %v: the queue: %v", snoops, h.Back)
		}
	}
}

// TestMark: a mark is done when every unit has done it, in order, across the wrap of
// queue and number; a unit that stands still is dead.
func TestMark(t *testing.T) {
	h := iommutest.NewHost(t)
	a, b := newFake(h, fakeCap, fakeECap), newFake(h, fakeCap|cap48, fakeECap|ecapSnoop)
	o, err := Open(&h.Host, Config{Units: []Unit{{Regs: a}, {Segment: 1, Regs: b}}})
	if err != nil {
		t.Fatal(err)
	}
	if o.levels != 3 || o.remap || o.String() != "VT-d, 2 units, 39 bits, interrupts not remapped" {
		t.Errorf("%d levels, %s", o.levels, o)
	}
	enable(t, a, o)
	o.mark = ^uint32(0) - 300
	for range 700 {
		o.Flush(1)
		if m := o.Mark(); !o.Done(m) {
			t.Fatal("not done")
		}
	}
	b.stuck = true
	m := o.Mark()
	if o.Done(m) || !o.Done(m-1) {
		t.Error("done by one of two")
	}
	b.stuck = false
	b.work()
	if !o.Done(m) {
		t.Error("not done, though both have")
	}
	b.stuck = true
	for range 2 * queueEntries {
		o.Flush(1)
	}
	b.stuck = false
	b.work()
	if o.Done(o.Mark()) {
		t.Error("a unit that was full for a second is believed again")
	}
}

// TestFaults: records become faults, once each, oldest first.
func TestFaults(t *testing.T) {
	_, f, o := open(t, fakeCap|3<<40, fakeECap) // four records
	enable(t, f, o)
	f.record(1, 0x10, 6, 0x3000, true)
	f.record(0, 0x11, 0x22, 7<<48, false)
	f.record(3, 0x318, 2, 0xfff_f000, false)
	f.status(fstsPending | fstsOverflow | 3<<8)
	var got []iommu.Fault
	see := func(x iommu.Fault) { got = append(got, x) }
	o.Faults(see)
	want := []iommu.Fault{
		{From: 0x318, Known: true, Write: true, Addr: 0xffff000, Reason: reasons[2], Code: 2},
		{From: 0x11, Known: true, Interrupt: true, Write: true, Addr: 7, Reason: remapReasons[2], Code: 0x22},
		{From: 0x10, Known: true, Addr: 0x3000, Reason: reasons[6], Code: 6},
		{Lost: true, Reason: "more than the unit has records for"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	got = nil
	o.Faults(see)
	if len(got) != 0 || f.Words[regFSts]&0xff != 0 {
		t.Errorf("again: %+v, status %#x", got, f.Words[regFSts])
	}
	for code := range 256 {
		if reason(uint8(code)) == "" {
			t.Errorf("reason %d has no words", code)
		}
	}
	f.status(fstsQueue)
	o.Faults(see)
	if len(got) != 1 || o.Done(o.Mark()) {
		t.Errorf("after an error in the queue: %+v", got)
	}
	f.Gone, got = true, nil
	if o.Faults(see); len(got) != 0 {
		t.Errorf("of a unit that is gone: %+v", got)
	}
}

func TestPin(t *testing.T) {
	h, f, o := open(t, fakeCap, fakeECap)
	enable(t, f, o)
	irt := mm.HPA(f.Get(regIRTA) &^ 0xfff)
	for _, c := range []struct {
		chip, vector uint8
		source       uint64
		level        bool
		low, mode    uint64
	}{{0, 0x40, irteVerify | 0xff00, false, 0, 0}, {9, 0x41, 0, true, 0x8000, 0x10}} { // of the second firmware says nothing
		v := uint64(c.vector)
		low, high, ok := o.Pin(c.chip, c.vector, 3, c.level)
		if !ok || uint64(low) != v|c.low || uint64(high) != v<<17|1<<16 {
			t.Errorf("%#x, %#x, %v", low, high, ok)
		}
		at := irt + mm.HPA(16*v)
		if lo, hi := h.Mem.Load64(at), h.Mem.Load64(at+8); lo != 0x300<<32|v<<16|c.mode|1 || hi != c.source {
			t.Errorf("entry %#x %#x", lo, hi)
		}
	}
	if got, want := f.take(), []string{"0x4000000014 0x0", "0x4100000014 0x0"}; !cmp.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	addr, data, ok := o.Message(abi.NewPCIAddr(0, 3, 2, 1), 0x42, 1)
	if !ok || addr != 0xfee00850 || data != 0 || h.Quads(irt+0x42*16) != "0x10000420001 0x40311" {
		t.Errorf("message %#x %#x, %v: %s", addr, data, ok, h.Quads(irt+0x42*16))
	}
	o.Silence(abi.NewPCIAddr(0, 3, 2, 1), 0x42)
	if got, want := f.take(), []string{"0x4200000014 0x0", "0x4200000014 0x0"}; !cmp.Equal(got, want) || h.Mem.Load64(irt+0x42*16) != 0 {
		t.Errorf("%q, want %q", got, want)
	}
	if _, _, ok := o.Pin(0, 0x41, 256, false); ok {
		t.Error("a CPU that eight bits cannot name")
	}
	f.stuck = true
	if _, _, ok := o.Pin(0, 0x41, 0, false); ok {
		t.Error("the unit still has what was there before")
	}
}
