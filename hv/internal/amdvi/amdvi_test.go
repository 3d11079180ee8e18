// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package amdvi

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/hv/abi"
	"ringo/hv/internal/iommu"
	"ringo/hv/internal/iommu/iommutest"
	"ringo/mm"
)

func open(t *testing.T, features uint64) (*iommutest.Host, *fake, *Units) {
	t.Helper()
	h := iommutest.NewHost(t)
	f := newFake(h, features)
	o, err := Open(&h.Host, Config{
		Units: []Unit{{Base: 0xfed80000, Flags: 0xd1, Regs: f}}, Chips: []Source{{0, 0xa0}},
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

// TestEnable: the order that the manual wants, on a unit that firmware has left on; and
// no requester's entry lets anything pass.
func TestEnable(t *testing.T) {
	h, f, o := open(t, fakeFeatures)
	f.Set(regControl, ctlEnable|ctlCommands|ctlEvents)
	f.sts = stsRunning | stsOverflow
	f.Set(regStatus, f.sts)
	if err := o.Enable(); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"control 0x0", "control 0x1406", "control 0x1407", "0x8000000000000000 0x0"}, f.take()); d != "" {
		t.Error(d)
	}
	if f.sts != stsRunning {
		t.Errorf("status %#x", f.sts)
	}
	devices := f.Get(regDevices)
	if devices&0x1ff != 511 || f.Get(regCommands)>>56 != 8 || f.Get(regEvents)>>56 != 8 {
		t.Errorf("devices %#x, commands %#x, events %#x", devices, f.Get(regCommands), f.Get(regEvents))
	}
	for id := range mm.HPA(1 << 16) {
		at := mm.HPA(devices&^0xfff) + id*32
		first, third := h.Mem.Load64(at), h.Mem.Load64(at+16)
		// V and TV, four levels of tables without an entry, neither reading nor
		// writing; interrupts are refused.
		if first&0xe00 != 4<<9 || first&3 != 3 || first>>61 != 0 || third&1 != 1 || third>>60 != 0 {
			t.Fatalf("entry %#x: %s %s", id, h.Quads(at), h.Quads(at+16))
		}
	}
	if got, want := o.String(), "AMD-Vi, 1 unit, 48 bits"; got != want || !o.Remaps() || o.Tags() != 1<<16-1 || o.Memory() != h.Host.Memory {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestEnableOld: a unit without a command for everything is told all requesters.
func TestEnableOld(t *testing.T) {
	_, f, o := open(t, fakeFeatures&^featInvalidateAll)
	if err := o.Enable(); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, c := range f.take() {
		seen[c] = true
	}
	for _, want := range []string{"0x2000000000000000 0x0", "0x200000000000ffff 0x0", "0x500000000000ffff 0x0", "0x3000000000000000 0x7ffffffffffff003"} {
		if !seen[want] {
			t.Errorf("it was not told %s", want)
		}
	}
}

func TestEnableFails(t *testing.T) {
	for name, script := range map[string]func(f *fake, reg uint32, n int, v uint64) uint64{
		"goes on": func(_ *fake, reg uint32, _ int, v uint64) uint64 {
			if reg == regStatus {
				return v | stsRunning
			}
			return v
		},
		"does not start": func(_ *fake, reg uint32, _ int, v uint64) uint64 {
			if reg == regStatus {
				return v &^ stsRunning
			}
			return v
		},
		"the ring stands still": func(f *fake, _ uint32, _ int, v uint64) uint64 {
			f.stuck = true
			return v
		},
		"it goes away": func(f *fake, reg uint32, n int, v uint64) uint64 {
			f.Gone = reg == regStatus && n == 2
			return v
		},
	} {
		_, f, o := open(t, fakeFeatures)
		f.Script = func(reg uint32, n int, v uint64) uint64 { return script(f, reg, n, v) }
		if err := o.Enable(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	h := iommutest.NewHost(t)
	f := newFake(h, fakeFeatures)
	f.Gone = true
	if _, err := Open(&h.Host, Config{Units: []Unit{{Regs: f}}}); err == nil {
		t.Error("nobody there, and no error")
	}
	if _, err := Open(&h.Host, Config{}); err == nil {
		t.Error("no unit is an IOMMU")
	}
}

func TestAttach(t *testing.T) {
	h, f, o := open(t, fakeFeatures)
	enable(t, f, o)
	const root, tag = 0x123000, 5
	a := abi.NewPCIAddr(0, 3, 2, 1)
	at := mm.HPA(f.Get(regDevices)&^0xfff) + mm.HPA(a)*32
	interrupts := h.Mem.Load64(at + 16)
	if err := o.Attach(a, root, tag); err != nil {
		t.Fatal(err)
	}
	if got, want := h.Quads(at), "0x6000000000123803 0x5"; got != want || h.Mem.Load64(at+16) != interrupts {
		t.Errorf("entry %s, want %s", got, want)
	}
	if got, want := f.take(), []string{"0x2000000000000311 0x0"}; !cmp.Equal(got, want) {
		t.Errorf("attach: %q, want %q", got, want)
	}
	o.Deny(a)
	if first := h.Mem.Load64(at); first>>61 != 0 || first&3 != 3 || h.Mem.Load64(at+8) != dteSilent {
		t.Errorf("denied: %s", h.Quads(at))
	}
	if got, want := f.take(), []string{"0x2000000000000311 0x0", "0x3000000500000000 0x7ffffffffffff003"}; !cmp.Equal(got, want) {
		t.Errorf("deny: %q, want %q", got, want)
	}
	if err := o.Attach(abi.NewPCIAddr(7, 0, 0, 0), root, tag); err == nil {
		t.Error("a segment without a unit")
	}
	o.Deny(abi.NewPCIAddr(7, 0, 0, 0))
}

// TestMark: a mark is done when every unit has done it, across the wrap of ring and
// number; a unit that stands still is dead.
func TestMark(t *testing.T) {
	h := iommutest.NewHost(t)
	a, b := newFake(h, fakeFeatures), newFake(h, fakeFeatures)
	o, err := Open(&h.Host, Config{Units: []Unit{{Regs: a}, {Regs: b}}})
	if err != nil {
		t.Fatal(err)
	}
	if a, b := o.units[0], o.units[1]; a.commands == b.commands || len(o.devices) != 1 || o.String() != "AMD-Vi, 2 units, 48 bits" {
		t.Errorf("rings %#x and %#x, %d device tables, %s", a.commands, b.commands, len(o.devices), o)
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
	for range 2 * ringEntries {
		o.Flush(1)
	}
	b.stuck = false
	b.work()
	if o.Done(o.Mark()) {
		t.Error("a unit that was full for a second is believed again")
	}
}

func TestFaults(t *testing.T) {
	h, f, o := open(t, fakeFeatures)
	aborted := false
	o.units[0].conf.Aborted = func() bool { return aborted }
	enable(t, f, o)
	var got []iommu.Fault
	see := func(x iommu.Fault) { got = append(got, x) }
	page := func(code, flags uint64, id uint64) uint64 { return code<<60 | flags | 5<<32 | id }
	f.event(page(2, evWrite, 0x318), 0xffff008, false)
	f.event(page(2, evPermitted, 0x10), 0x3000, false)
	f.event(page(2, evInterrupt, 0x11), 7, false)
	f.event(page(15, 0, 0x11), 7, false)
	f.sts |= stsOverflow
	f.Set(regStatus, f.sts)
	o.Faults(see)
	want := []iommu.Fault{
		{From: 0x318, Known: true, Write: true, Addr: 0xffff008, Reason: reasons[2], Code: 2},
		{From: 0x10, Known: true, Addr: 0x3000, Reason: "it is not allowed to do that there", Code: 2},
		{From: 0x11, Known: true, Interrupt: true, Addr: 7, Reason: reasons[2], Code: 2},
		{Addr: 7, Reason: "reason unknown", Code: 15},
		{Lost: true, Reason: "more than the unit has records for"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"control 0x1403", "control 0x1407"}, f.take()); d != "" || f.sts != stsRunning {
		t.Errorf("the log does not go on: %s, status %#x", d, f.sts)
	}
	got, aborted = nil, true
	if o.Faults(see); len(got) != 1 || got[0].Known {
		t.Errorf("an access without a record: %+v", got)
	}
	got, aborted = nil, false
	f.event(0, 0, true)
	if o.Faults(see); len(got) != 0 {
		t.Errorf("an entry that is not there: %+v", got)
	}
	h.Mem.Store64(o.units[0].events+4*16, page(5, 0, 0)) // there it is
	if o.Faults(see); len(got) != 1 || o.Done(o.Mark()) {
		t.Errorf("after a command that it does not know: %+v", got)
	}
	f.Gone, got = true, nil
	if o.Faults(see); len(got) != 0 {
		t.Errorf("of a unit that is gone: %+v", got)
	}
}

func TestPin(t *testing.T) {
	h, f, o := open(t, fakeFeatures)
	enable(t, f, o)
	for _, vector := range []uint8{0x40, 0x41} {
		low, high, ok := o.Pin(0, vector, 3, vector == 0x41)
		if want := uint32(vector) | uint32(vector&1)<<15; !ok || low != want || high != 3<<24 {
			t.Errorf("%#x, %#x, %v", low, high, ok)
		}
	}
	entry := h.Mem.Load64(mm.HPA(f.Get(regDevices)&^0xfff) + 0xa0*32 + 16)
	irt := mm.HPA(entry & 0xf_ffff_ffff_ffc0)
	if got, want := h.Mem.Load64(irt+0x40*4), uint64(0x410301)<<32|0x400301; got != want || entry&0x3f != 0x11 || entry>>60 != 2 {
		t.Errorf("table entries %#x, want %#x; device %#x", got, want, entry)
	}
	if got, want := f.take(), []string{"0x20000000000000a0 0x0", "0x50000000000000a0 0x0", "0x50000000000000a0 0x0"}; !cmp.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	// A function has a table of its own: no index is another one's interrupt.
	a := abi.NewPCIAddr(0, 3, 2, 1)
	addr, data, ok := o.Message(a, 0x42, 1)
	entry = h.Mem.Load64(mm.HPA(f.Get(regDevices)&^0xfff) + mm.HPA(a)*32 + 16)
	own := mm.HPA(entry & 0xf_ffff_ffff_ffc0)
	if !ok || addr != 0xfee00000 || data != 0x42 || own == irt || h.Mem.Load64(own+0x42*4) != 0x420101 {
		t.Errorf("message %#x %#x, %v: entry %#x, %#x", addr, data, ok, entry, h.Mem.Load64(own+0x42*4))
	}
	o.Silence(a, 0x42)
	o.Silence(a+1, 0x42) // that has none
	if h.Mem.Load64(own+0x42*4) != 0 {
		t.Error("not silent")
	}
	f.take()
	for _, c := range []struct {
		chip uint8
		apic uint32
	}{{1, 0}, {0, 256}} {
		if _, _, ok := o.Pin(c.chip, 0x42, c.apic, false); ok {
			t.Errorf("chip %d, CPU %d", c.chip, c.apic)
		}
	}
	f.stuck = true
	if _, _, ok := o.Pin(0, 0x42, 0, false); ok {
		t.Error("the unit still has what was there before")
	}
}
