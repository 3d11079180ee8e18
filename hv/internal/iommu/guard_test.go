// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package iommu_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/hv/abi"
	"ringo/hv/internal/iommu"
	"ringo/hv/internal/iommu/iommutest"
	"ringo/mm"
	"ringo/mm/phys"
	"ringo/mm/pt"
)

// units is hardware with a log. What was told before the last mark that is done is
// forgotten; slow units do marks when done says so.
type units struct {
	h        *iommutest.Host
	log      []string
	faults   []iommu.Fault
	tags     int
	mark     uint32
	done     uint32
	slow     bool
	attached map[abi.PCIAddr]uint16
	roots    map[uint16]mm.HPA // by tag
	noAttach bool
}

func (u *units) say(format string, a ...any)         { u.log = append(u.log, fmt.Sprintf(format, a...)) }
func (u *units) Enable() error                       { return nil }
func (u *units) Format() *pt.Format                  { return pt.VTD(3, mm.Page2M, false) }
func (u *units) Memory() phys.Memory                 { return u.h.Mem }
func (u *units) Tags() int                           { return u.tags }
func (u *units) Remaps() bool                        { return true }
func (u *units) String() string                      { return "units" }
func (u *units) Flush(tag uint16)                    { u.say("flush %d", tag) }
func (u *units) Silence(a abi.PCIAddr, vector uint8) { u.say("silence %#x %d", uint32(a), vector) }
func (u *units) Message(a abi.PCIAddr, v uint8, p uint32) (uint32, uint32, bool) {
	return uint32(a), uint32(v), true
}
func (u *units) Pin(c, v uint8, a uint32, _ bool) (uint32, uint32, bool) { return uint32(v), a, true }

func (u *units) Attach(a abi.PCIAddr, root mm.HPA, tag uint16) error {
	if u.noAttach {
		return errors.New("no such segment")
	}
	for _, t := range u.attached {
		if t == tag && u.roots[tag] != root {
			return errors.New("tag in use")
		}
	}
	u.roots[tag] = root
	u.attached[a] = tag
	u.say("attach %#x %d", uint32(a), tag)
	return nil
}

func (u *units) Deny(a abi.PCIAddr) {
	delete(u.attached, a)
	u.say("deny %#x", uint32(a))
}

func (u *units) Mark() uint32 {
	u.mark++
	if !u.slow {
		u.done = u.mark
	}
	u.say("mark %d", u.mark)
	return u.mark
}

func (u *units) Done(mark uint32) bool { return mark <= u.done }

func (u *units) Faults(f func(iommu.Fault)) {
	all := u.faults
	u.faults = nil
	for _, x := range all {
		f(x)
	}
}

// machine is a guard with all around it.
type machine struct {
	*iommu.Guard
	u     *units
	alloc *tables
	told  []string
	took  []abi.PCIAddr
	now   uint64
	dead  int
}

// tables counts frames.
type tables struct {
	h    *iommutest.Host
	used map[mm.HPA]bool
}

func (t *tables) AllocTable() (mm.HPA, error) {
	a, err := t.h.Pages(1)
	t.used[a] = true
	return a, err
}

func (t *tables) FreeTable(a mm.HPA) { delete(t.used, a) }

func newMachine(t *testing.T) *machine {
	h := iommutest.NewHost(t)
	m := &machine{u: &units{h: h, tags: 100, attached: map[abi.PCIAddr]uint16{}, roots: map[uint16]mm.HPA{}}, alloc: &tables{h, map[mm.HPA]bool{}}}
	m.Guard = iommu.New(iommu.Config{
		Hardware: m.u, Tables: m.alloc, Second: 1000,
		Stop: func(a abi.PCIAddr) bool {
			m.took = append(m.took, a)
			return a.Bus() == 0
		},
		Now:    func() uint64 { return m.now },
		Within: func(done func() bool) bool { return done() },
		Told:   func(s string) { m.told = append(m.told, s) },
		Dead:   func() { m.dead++ },
	})
	return m
}

func span(first, last mm.HPA) mm.Range[mm.HPA] { return mm.Span(first, last+1) }

// TestReserve: what firmware wants is mapped at its own address, in whole pages, and
// nothing beside it.
func TestReserve(t *testing.T) {
	m := newMachine(t)
	const usb, nic = abi.PCIAddr(0xe8), abi.PCIAddr(0x18)
	for _, r := range []struct {
		a     abi.PCIAddr
		r     mm.Range[mm.HPA]
		write bool
	}{
		{usb, span(0xe8010, 0xe9fff), true}, {usb, span(0x7a000000, 0x7a1fffff), true},
		{nic, span(0x7b000000, 0x7b000fff), false}, {usb, span(0xe9000, 0xeafff), true}, // overlaps the first
	} {
		if err := m.Reserve(r.a, r.r, r.write); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"attach 0xe8 1", "attach 0x18 2", "flush 1"}
	if d := cmp.Diff(want, m.u.log); d != "" {
		t.Error(d)
	}
	if err := m.Reserve(usb, span(1<<39, 1<<39+0xfff), true); err == nil {
		t.Error("an address beyond three levels")
	}
	if got := m.String(); got != "units; 2 have memory" {
		t.Error(got)
	}
	m.u.noAttach = true
	if err := m.Reserve(0x1_0000, span(0xe8000, 0xe8fff), true); err == nil {
		t.Error("no unit, but no error")
	}
	m.u.noAttach = false
	m.u.tags = 3 // the third was given back
	if err := m.Reserve(0x20, span(0xe8000, 0xe8fff), true); err != nil {
		t.Error(err)
	}
	if err := m.Reserve(0x28, span(0xe8000, 0xe8fff), true); err == nil {
		t.Error("more spaces than there are tags")
	}
}

// TestFault: a device that is refused something loses its bus and its memory, at once
// and once; tables and tag are used again only when the units have forgotten them.
func TestFault(t *testing.T) {
	m := newMachine(t)
	const usb = abi.PCIAddr(0xe8)
	if err := m.Reserve(usb, span(0x7a000000, 0x7a1fffff), true); err != nil {
		t.Fatal(err)
	}
	frames := len(m.alloc.used)
	m.u.log, m.u.slow = nil, true
	fault := iommu.Fault{From: usb, Known: true, Write: true, Addr: 0x1000, Reason: "why", Code: 5}
	m.u.faults = []iommu.Fault{fault, fault}
	m.Look()
	if d := cmp.Diff([]string{"deny 0xe8", "mark 1"}, m.u.log); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]abi.PCIAddr{usb}, m.took); d != "" {
		t.Error(d)
	}
	want := []string{
		"iommu: PCI 0000:00:1d.0 wrote to 0x1000, refused: why (5); it is no bus master any more",
		"iommu: PCI 0000:00:1d.0 wrote to 0x1000, refused: why (5)",
	}
	if d := cmp.Diff(want, m.told); d != "" {
		t.Error(d)
	}
	m.now += 1000
	m.Look()
	if len(m.alloc.used) != frames || frames == 0 {
		t.Errorf("%d of %d frames, before the units have forgotten them", len(m.alloc.used), frames)
	}
	if err := m.Reserve(0x18, span(0xe8000, 0xe8fff), true); err != nil || m.u.attached[0x18] != 2 {
		t.Errorf("%v, tag %d: the first may still be remembered", err, m.u.attached[0x18])
	}
	m.u.done = 1
	used := len(m.alloc.used)
	m.Look()
	if len(m.alloc.used) != used-frames {
		t.Errorf("%d frames of %d, of which %d should be free", len(m.alloc.used), used, frames)
	}
	if err := m.Reserve(0x20, span(0xe8000, 0xe8fff), true); err != nil || m.u.attached[0x20] != 1 {
		t.Errorf("%v, tag %d: the first is free", err, m.u.attached[0x20])
	}
	if got := m.String(); got != "units; 2 have memory; 2 refused" || m.dead != 0 {
		t.Error(got)
	}
}

// TestAttach: functions share their domain's space, with what firmware wants each of
// them to have; one that was stopped may come back, when it was denied before.
func TestAttach(t *testing.T) {
	m := newMachine(t)
	const usb, nic = abi.PCIAddr(0xe8), abi.PCIAddr(0x18)
	if err := m.Reserve(usb, span(0x7a000000, 0x7a1fffff), true); err != nil {
		t.Fatal(err)
	}
	s, err := m.NewSpace(span(0x1000000, 0x8ffffff))
	if err != nil {
		t.Fatal(err)
	}
	m.u.log = nil
	for _, a := range []abi.PCIAddr{usb, nic} {
		if err := m.Attach(a, s); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"deny 0xe8", "mark 1", "attach 0xe8 2", "deny 0x18", "mark 2", "attach 0x18 2"}
	if d := cmp.Diff(want, m.u.log); d != "" {
		t.Error(d)
	}
	for at, want := range map[mm.HPA]bool{0xffffff: false, 0x1000000: true, 0x8ffffff: true, 0x9000000: false, 0x7a000000: true} {
		if got := m.reaches(nic, at); got != want {
			t.Errorf("%#x: %v", at, got)
		}
	}
	frames := len(m.alloc.used)
	m.Look() // firmware's space for usb goes, the domain's stays
	if len(m.alloc.used) >= frames || !m.reaches(usb, 0x1000000) {
		t.Errorf("%d frames of %d", len(m.alloc.used), frames)
	}
	m.u.slow = true
	if m.Detach(nic) || m.reaches(nic, 0x1000000) {
		t.Error("detached before the units have forgotten it")
	}
	m.u.log = nil
	if m.Detach(nic) || len(m.u.log) != 0 {
		t.Errorf("%q", m.u.log)
	}
	m.u.done = m.u.mark
	if !m.Detach(nic) || !m.Detach(nic) || !m.reaches(usb, 0x1000000) {
		t.Error("not detached")
	}
	m.u.slow = false
	m.u.faults = []iommu.Fault{{From: usb, Known: true, Reason: "why", Code: 5}}
	m.Look()
	if m.reaches(usb, 0x1000000) || !m.Detach(usb) {
		t.Error("a function that was stopped has memory")
	}
	if err := m.Attach(usb, s); err != nil || !m.reaches(usb, 0x1000000) {
		t.Error(err)
	}
	m.took = nil
	m.u.faults = []iommu.Fault{{From: usb, Known: true, Reason: "why", Code: 5}}
	if m.Look(); len(m.took) != 1 {
		t.Error("the second life of a function is not watched")
	}
	m.u.slow = true
	if err := m.Attach(nic, s); err == nil || m.dead != 1 {
		t.Error("attached, though a unit may remember what it had")
	}
}

// reaches reports whether a function reaches an address, by its tables.
func (m *machine) reaches(a abi.PCIAddr, at mm.HPA) bool {
	table, ok := m.u.roots[m.u.attached[a]]
	if m.u.attached[a] == 0 || !ok {
		return false
	}
	for shift := 30; ; shift -= 9 {
		e := m.u.h.Mem.Load64(table + mm.HPA(uint64(at)>>shift&511*8))
		switch {
		case e&3 == 0:
			return false
		case shift == 12 || e&0x80 != 0:
			return true
		}
		table = mm.HPA(e &^ 0xfff)
	}
}

// TestDead: frames that a unit may still use are nobody's for ever.
func TestDead(t *testing.T) {
	m := newMachine(t)
	m.u.slow = true
	for _, a := range []abi.PCIAddr{0x18, 0x20} {
		if err := m.Reserve(a, span(0xe8000, 0xe8fff), true); err != nil {
			t.Fatal(err)
		}
		m.u.faults = append(m.u.faults, iommu.Fault{From: a, Known: true, Reason: "why", Code: 6})
	}
	frames := len(m.alloc.used)
	m.Look()
	m.now += 1001
	m.told = nil
	m.Look()
	if len(m.told) != 1 || m.dead != 1 || !strings.HasSuffix(m.String(), "; stopped answering") {
		t.Errorf("%q, told %d times, %s", m.told, m.dead, m)
	}
	m.u.done = 100 // too late: nobody waits for it any more
	m.Look()
	if len(m.alloc.used) != frames {
		t.Errorf("%d frames of %d", len(m.alloc.used), frames)
	}
}

// TestLines: a storm is eight lines a second, and how many more there were; and however
// many identities a device makes up, what is remembered is bounded.
func TestLines(t *testing.T) {
	m := newMachine(t)
	const n = 5000
	for i := range n {
		m.u.faults = append(m.u.faults, iommu.Fault{From: abi.PCIAddr(0x100 + i), Known: true, Interrupt: true, Addr: 3, Reason: "why", Code: 0x22})
	}
	m.now = 5
	m.Look()
	if len(m.told) != 8 || m.told[0] != "iommu: PCI 0000:01:00.0 raised interrupt 3, refused: why (34); there is no such function" {
		t.Errorf("%d lines, %q", len(m.told), m.told[:1])
	}
	if len(m.took) >= n || len(m.took) < 1000 {
		t.Errorf("%d functions are remembered", len(m.took))
	}
	m.told = nil
	m.now += 1000
	m.u.faults = []iommu.Fault{{Lost: true, Reason: "more"}, {Reason: "odd", Code: 3, Addr: 16}, {From: 0x1ffff, Known: true, Reason: "why", Code: 1}}
	m.Look()
	want := []string{
		"iommu: 4992 more accesses were refused that are not listed", "iommu: refused: more",
		"iommu: refused: odd (3, at 0x10)", "iommu: PCI 0001:ff:1f.7 read from 0x0, refused: why (1)",
	}
	if d := cmp.Diff(want, m.told); d != "" {
		t.Error(d)
	}
	if got := m.String(); got != fmt.Sprintf("units; %d refused", n+3) {
		t.Error(got)
	}
}

// TestWrittenBack: all that is written to memory which units do not snoop.
func TestWrittenBack(t *testing.T) {
	h := iommutest.NewHost(t)
	m := iommu.WrittenBack(&h.Host)
	const a = iommutest.Base
	m.Store64(a, 1)
	m.Zero(a+mm.PageSize, mm.PageSize)
	m.CompareAndSwap64(a+8, 0, 5)
	m.Write(a+16, make([]byte, 9))
	for _, at := range []mm.HPA{a, a + 8, a + 16, a + 24, a + mm.PageSize, a + 2*mm.PageSize - 8} {
		if !h.Back[at] {
			t.Errorf("%#x was not written back", at)
		}
	}
	if len(h.Back) != 4+512 || m.Load64(a+8) != 5 {
		t.Errorf("%d quadwords", len(h.Back))
	}
}
