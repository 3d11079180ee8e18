// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package hcall_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"ringo/dom0/hcall"
	"ringo/dom0/hcall/hcalltest"
	"ringo/hv/abi"
)

// The client copies structures field by field: that is their memory layout only
// as long as no padding is implicit.
func TestWireLayout(t *testing.T) {
	for _, c := range []struct {
		v    any
		size uintptr
	}{
		{abi.HostInfo{}, unsafe.Sizeof(abi.HostInfo{})},
		{abi.CreateArgs{}, unsafe.Sizeof(abi.CreateArgs{})},
		{abi.ExtentList{}, unsafe.Sizeof(abi.ExtentList{})},
		{abi.VCPUContext{}, unsafe.Sizeof(abi.VCPUContext{})},
		{abi.DomainInfo{}, unsafe.Sizeof(abi.DomainInfo{})},
		{abi.ExitCounts{}, unsafe.Sizeof(abi.ExitCounts{})},
		{abi.PCIFunction{}, unsafe.Sizeof(abi.PCIFunction{})},
		{abi.TraceRecord{}, unsafe.Sizeof(abi.TraceRecord{})},
	} {
		if got := binary.Size(c.v); uintptr(got) != c.size {
			t.Errorf("%T: %d bytes on the wire, %d in memory", c.v, got, c.size)
		}
	}
}

func create(t *testing.T, c *hcall.Client, name string, size uint64) uint32 {
	t.Helper()
	a := abi.CreateArgs{VCPUs: 1, MaxBytes: size}
	hcall.SetText(a.Name[:], name)
	if err := c.Create(&a); err != nil {
		t.Fatal(err)
	}
	if a.Port < abi.PortDomain || a.IOReq == 0 {
		t.Fatalf("results missing: %+v", a)
	}
	return a.ID
}

func TestLifeOfADomain(t *testing.T) {
	m := hcalltest.New(256<<20, 2)
	c := m.Client()
	free := m.Free()
	id := create(t, c, "web", 64<<20)
	steps := 0
	if err := c.Populate(id, 0, 64<<20, abi.RAMWritable, func(uint64) { steps++ }); err != nil || steps == 0 {
		t.Fatalf("populate: %v after %d steps", err, steps)
	}
	ext, err := c.Map(id)
	if err != nil {
		t.Fatal(err)
	}
	var next uint64
	for _, e := range ext {
		if e.GPA != next {
			t.Fatalf("extent at %#x, want %#x", e.GPA, next)
		}
		m.Slice(e.HPA, e.Size)[0] = 1
		next += e.Size
	}
	if next != 64<<20 || len(ext) < 2 {
		t.Fatalf("%d extents, %d bytes", len(ext), next)
	}
	x := abi.VCPUContext{RIP: 0x1234, Online: 1}
	x.Seg[7].Base = 77
	if err := c.SetVCPU(id, 0, &x); err != nil {
		t.Fatal(err)
	}
	got, err := c.GetVCPU(id, 0)
	if d := cmp.Diff(x, got); err != nil || d != "" {
		t.Fatal(err, d)
	}
	rec := bytes.Repeat([]byte("r"), abi.RecordLen)
	if err := c.SetRecord(id, rec); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Record(id); err != nil || !bytes.Equal(got, rec) {
		t.Fatal(err, len(got))
	}
	for _, err := range []error{
		c.Claim(id, abi.SpacePort, 0x3f8, 8, 1), c.Unpause(id), c.Pause(id), c.Rename(id, "db"),
		c.SetSched(id, 100, 50), c.SetIRQ(id, 4, true),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	all, err := c.Domains()
	if err != nil || len(all) != 2 || hcall.Text(all[1].Name[:]) != "db" || all[1].Weight != 100 {
		t.Fatal(err, all)
	}
	steps = 0
	if err := c.Destroy(id, func(uint64) { steps++ }); err != nil || steps == 0 {
		t.Fatal(err, steps)
	}
	if m.Free() != free {
		t.Errorf("%d bytes free, %d before", m.Free(), free)
	}
}

// Every call's error names what was tried and wraps the status.
func TestErrors(t *testing.T) {
	m := hcalltest.New(256<<20, 2)
	c := m.Client()
	m.Fail = func(abi.Call, int) abi.Status { return abi.Busy }
	e1 := func(_ any, err error) error { return err }
	_, _, logErr := c.Log(0)
	calls := map[string]error{
		"host": e1(c.Host()), "version": e1(c.Version()), "power": c.Power(0), "wall": c.SetWall(time.Unix(1, 0)), "log": logErr,
		"write": e1(c.ConsoleWrite([]byte("x"))), "read": e1(c.ConsoleRead(make([]byte, 1))),
		"key": c.DebugKey('h'), "send": c.EventSend(1), "start": c.StartVCPU(1, 0, 0, 0),
		"counts": e1(c.ExitCounts(1)), "trace": e1(c.Trace(0)), "create": c.Create(&abi.CreateArgs{}),
		"populate": c.Populate(1, 0, 1, 0, nil), "map": e1(c.Map(1)), "msi": c.MSI(1, 0, 0),
		"set": c.SetVCPU(1, 0, &abi.VCPUContext{}), "get": e1(c.GetVCPU(1, 0)), "claim": c.Claim(1, 0, 0, 1, 0),
		"pause": c.Pause(1), "unpause": c.Unpause(1), "destroy": c.Destroy(1, nil), "info": e1(c.Info(1)),
		"domains": e1(c.Domains()), "rename": c.Rename(1, "x"), "record": c.SetRecord(1, nil),
		"getrecord": e1(c.Record(1)), "sched": c.SetSched(1, 1, 0), "slice": e1(c.Slice(1000)), "affinity": e1(c.Affinity(1, 0, 1)), "irq": c.SetIRQ(1, 4, true),
		"done": c.IOReqDone(1, 0), "bell": c.SetBell(1, 0, 0, 0, 0), "end": c.End(1, abi.ShutdownReboot),
		"pci": e1(c.PCIFunctions()), "config": e1(c.PCIRead(8, 0, 4)),
		"assign": c.PCIAssign(8), "bar": c.PCIMap(8, 0), "setconfig": c.PCIWrite(8, 4, 2, 6), "release": c.PCIRelease(8),
		"bind": e1(c.IRQBind(8, abi.IRQMSIX, 0, abi.PortDevice)), "mask": c.IRQMask(0, true), "seen": c.IRQDone(0), "unbind": c.IRQUnbind(0),
		"trigger": e1(c.Trigger(1, abi.TriggerNMI, 0)),
	}
	for name, err := range calls {
		var e *hcall.Error
		if !errors.As(err, &e) || !errors.Is(err, abi.Busy) || e.What == "" ||
			!strings.HasSuffix(err.Error(), ": domain is busy") {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Calls that have no client method: none of dom0's. CallDomShutdown is for
	// other guests.
	for nr := abi.CallBase; nr < abi.CallEnd; nr++ {
		if m.Calls(nr) == 0 && nr != abi.CallDomShutdown {
			t.Errorf("call %#x was not made", nr)
		}
	}
	if err := c.SetRecord(1, make([]byte, abi.RecordLen+1)); !errors.Is(err, abi.TooBig) {
		t.Error(err)
	}
}

func TestSetWall(t *testing.T) {
	m := hcalltest.New(256<<20, 2)
	want := time.Date(2031, 2, 3, 4, 5, 6, 7, time.UTC)
	if err := m.Client().SetWall(want); err != nil || !m.Wall().Equal(want) {
		t.Error(m.Wall(), err)
	}
}

func TestLogSkipsWhatIsLost(t *testing.T) {
	m := hcalltest.New(0, 1)
	c := m.Client()
	m.LogSize = 10000
	for i := range 2000 {
		m.Logf("line %d\n", i)
	}
	text, end, err := c.Log(0)
	if err != nil || len(text) != 10000 || !strings.HasSuffix(string(text), "line 1999\n") {
		t.Fatal(err, len(text))
	}
	m.Logf("more\n")
	text, _, err = c.Log(end)
	if err != nil || string(text) != "more\n" {
		t.Fatal(err, string(text))
	}
}

func TestConsole(t *testing.T) {
	m := hcalltest.New(0, 1)
	k := hcall.NewConsole(m.Client())
	m.Upcall = func() {
		for _, p := range m.Pending() {
			if p == abi.PortConsole {
				k.Wake()
			}
		}
	}
	long := strings.Repeat("0123456789", 1000)
	if n, err := k.Write([]byte(long)); n != len(long) || err != nil || m.Output() != long {
		t.Fatal(n, err)
	}
	go m.Type("hello")
	b := make([]byte, 3)
	n, err := k.Read(b)
	n2, err2 := k.Read(b[:2])
	if n != 3 || n2 != 2 || err != nil || err2 != nil {
		t.Fatal(n, n2, err, err2)
	}
	// What is lost stands behind what was read before it, and the stream goes on.
	m.Type("ab")
	m.Lose("cd")
	m.Type("e\n")
	n, err = k.Read(b)
	var lost *hcall.Lost
	if n != 2 || !errors.As(err, &lost) || *lost != (hcall.Lost{N: 4, Line: true}) {
		t.Fatal(n, err)
	}
	m.Lose("x")
	if n, err = k.Read(b); n != 0 || !errors.As(err, &lost) || *lost != (hcall.Lost{N: 1}) {
		t.Fatal(n, err)
	}
	m.Type("f")
	if n, err = k.Read(b); n != 1 || err != nil {
		t.Fatal(n, err)
	}
}

// The calls of the exit round trip allocate nothing.
func TestAllocations(t *testing.T) {
	c := hcall.New(nop{}, page{})
	l := c.Line(1, 4)
	for name, f := range map[string]func(){
		"IOReqDone": func() { _ = c.IOReqDone(1, 0) },
		"Line":      func() { l.Set(true) },
		"MSI":       func() { _ = c.MSI(1, 0xfee0_0000, 0x41) },
		"EventSend": func() { _ = c.EventSend(64) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

type nop struct{}

func (nop) Call(abi.Call, uint64, uint64, uint64, uint64, uint64) (abi.Status, uint64) {
	return abi.OK, 0
}

type page struct{}

func (page) GPA() uint64   { return 0x1000 }
func (page) Bytes() []byte { return make([]byte, hcall.PageSize) }

func TestNativeNames(t *testing.T) {
	if hcall.Native(0) == hcall.Native(1) {
		t.Error("both instructions have the same caller")
	}
	defer func() {
		if recover() == nil {
			t.Error("unknown instruction accepted")
		}
	}()
	hcall.Native(2)
}
