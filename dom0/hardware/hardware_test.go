// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package hardware

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"ringo/dom0/event"
	"ringo/dom0/hcall"
	"ringo/drivers/block"
	"ringo/drivers/dma"
	"ringo/drivers/nvme/nvmetest"
	"ringo/drivers/reg"
	"ringo/hv/abi"
)

// machine is a hypervisor with functions, as far as this package uses it. It is the
// page of operands, too.
type machine struct {
	page  [4096]byte
	all   []abi.PCIFunction
	calls []string // but those that read
	deny  map[abi.Call]abi.Status

	mu      sync.Mutex // guards master, bind
	command uint64
	bind    func(entry int, f func()) error
	raise   func(port uint32)
}

func (m *machine) GPA() uint64   { return 0x1000 }
func (m *machine) Bytes() []byte { return m.page[:] }

func (m *machine) Call(nr abi.Call, a0, a1, a2, a3, a4 uint64) (abi.Status, uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch nr {
	case abi.CallPCIFunction:
		if a0 >= uint64(len(m.all)) {
			return abi.NoDevice, 0
		}
		var b bytes.Buffer
		_ = binary.Write(&b, binary.LittleEndian, m.all[a0])
		copy(m.page[:], b.Bytes())
		return abi.OK, uint64(len(m.all))
	case abi.CallPCIRead:
		return abi.OK, uint64(m.all[0].Device)<<16 | uint64(m.all[0].Vendor)
	}
	names := map[abi.Call]string{abi.CallPCIAssign: "assign", abi.CallPCIMap: "map", abi.CallPCIWrite: "write", abi.CallPCIRelease: "release", abi.CallIRQBind: "bind"}
	m.calls = append(m.calls, fmt.Sprint(names[nr], " ", a1))
	if nr == abi.CallPCIWrite && a1 == regCommand {
		m.command = a3
	}
	if st := m.deny[nr]; st != abi.OK {
		return st, 0
	}
	if nr == abi.CallIRQBind && m.bind != nil {
		if m.bind(int(a2), func() { m.raise(uint32(a3)) }) != nil {
			return abi.NoDevice, 0
		}
	}
	return abi.OK, 0
}

// rig is hardware on such a machine.
type rig struct {
	*Hardware
	m      *machine
	events *event.Server
	log    []string
	mu     sync.Mutex
}

func newRig(m *machine, dev *nvmetest.Device) *rig { return newRigWith(m, dev, dev, PortIO{}) }

func newRigWith(m *machine, regs reg.Window, arena dma.Arena, io PortIO) *rig {
	shared := new(abi.SharedInfo)
	r := &rig{m: m, events: event.New(shared)}
	m.raise = func(port uint32) {
		r.mu.Lock()
		defer r.mu.Unlock()
		shared.Devices = 1 << (port - abi.PortDevice)
		r.events.Poll()
	}
	r.Hardware = New(Options{
		HV: hcall.New(m, m), Events: r.events, CPUs: 2,
		Map:       func(addr, size uint64) bool { return true },
		Registers: func(addr, size uint64) reg.Window { return regs },
		Ports:     io,
		Memory: func(size int) (uint64, []byte, bool) {
			s, err := arena.Alloc(size, 4096)
			return s.Addr, s.Bytes, err == nil
		},
		Log: func(line string) {
			r.mu.Lock()
			r.log = append(r.log, line)
			r.mu.Unlock()
		},
	})
	return r
}

var controller = abi.PCIFunction{Addr: 8, Class: 0x010802, Vendor: 0x1b36, Device: 0x10, BAR: [6]abi.PCIBAR{{Addr: 0xe0 << 32, Size: 16 << 10, Flags: abi.BARPresent}}}

// A controller becomes a disk, which is read by interrupts, and counts.
func TestNVMe(t *testing.T) {
	dev := nvmetest.New()
	m := &machine{all: []abi.PCIFunction{{Addr: 0, Class: 0x060000}, controller}}
	m.all[0], m.all[1] = m.all[1], m.all[0]
	m.bind = dev.Bind
	r := newRig(m, dev)
	r.Start()
	d := r.Disk("nvme0n1")
	if d == nil || d.Health() != nil {
		t.Fatalf("%v, %v", r.Disks(), r.log)
	}
	if got := strings.Join(m.calls, ", "); !strings.HasPrefix(got, "assign 0, map 0, write 4, bind 0") {
		t.Errorf("calls: %s", got)
	}
	res, err := r.Exercise(d, 7, 0, 1<<20, false)
	if err != nil || res.Bytes < 1<<20 || res.Failed != 0 || d.Count(block.Write) != uint64(res.Writes) {
		t.Errorf("%+v, %v", res, err)
	}
	n := 0
	if err := r.Read(d, 512, 3<<20, func(b []byte) error { n += len(b); return nil }); err != nil || n != 3<<20 {
		t.Errorf("%d bytes, %v", n, err)
	}
	// Its reader shows the same, and counts as well.
	before, b := d.Count(block.Read), make([]byte, 100_000)
	if _, err := d.Reader().ReadAt(b, 777); err != nil || d.Count(block.Read) < before+2 {
		t.Errorf("%v, %d reads", err, d.Count(block.Read)-before)
	}
	if err := r.Read(d, 0, 102400, func(all []byte) error {
		if !bytes.Equal(all[777:][:100_000], b) {
			t.Error("its reader shows something else")
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	for _, c := range [][2]uint64{{1, 512}, {512, 1}, {d.Info().Blocks * 512, 512}, {1 << 63, 1 << 63}} {
		if err := r.Read(d, c[0], c[1], nil); !errors.Is(err, ErrRange) {
			t.Errorf("%#x: %v", c, err)
		}
	}
	if err := r.Speed(d, block.Read, 4096, 8, 100); err != nil {
		t.Error(err)
	}
	dev.Fault = func(nvmetest.Command) nvmetest.Fault { return nvmetest.Fault{Status: 0x281} }
	if err := r.Read(d, 0, 512, nil); !errors.Is(err, block.ErrMedia) || d.Errors() != 1 {
		t.Errorf("%v, %d errors", err, d.Errors())
	}
	dev.Fault = nil
	r.Close()
	r.Close()
	if err := r.Read(d, 0, 512, nil); !errors.Is(err, block.ErrGone) {
		t.Errorf("after the end: %v", err)
	}
	if w := dev.Wrongs(); len(w) > 0 || len(r.log) > 0 {
		t.Error(w, r.log)
	}
}

// What cannot be used is one line, and is given back.
func TestRefused(t *testing.T) {
	for call, want := range map[abi.Call]string{
		abi.CallPCIAssign: "nvme0 at 00:01.0 is not used: take PCI function 0x8: permission denied",
		abi.CallPCIMap:    "nvme0 at 00:01.0 is not used: map base address 0 of PCI function 0x8: permission denied",
		abi.CallPCIWrite:  "nvme0 at 00:01.0 is not used: write register 0x4 of PCI function 0x8: permission denied",
	} {
		m := &machine{all: []abi.PCIFunction{controller}, deny: map[abi.Call]abi.Status{call: abi.Denied}}
		r := newRig(m, nvmetest.New())
		r.Start()
		if got := strings.Join(r.log, "; "); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if released := m.calls[len(m.calls)-1] == "release 0"; released != (call != abi.CallPCIAssign) {
			t.Errorf("calls %v", m.calls)
		}
	}
}

// Each device that is of no use has a line that says why.
func TestUseless(t *testing.T) {
	empty := controller
	empty.BAR[0].Addr = 0
	m := &machine{all: []abi.PCIFunction{
		empty, {Addr: 0x10, Class: 0x010000, Vendor: 0x1af4, Device: 0x1048}, {Addr: 0x18, Class: 0x020000, Vendor: 0x10ec, Device: 0x8139},
		{Addr: 0x20, Class: 0x030000, Vendor: 0x1234, Device: 0x1111},
	}}
	r := newRig(m, nvmetest.New())
	r.Start()
	want := []string{
		"00:02.0, SCSI controller 1af4:1048, is not used: there is no driver for it",
		"00:03.0, Ethernet controller 10ec:8139, is not used: there is no driver for it",
		"nvme0 at 00:01.0 is not used: firmware has left its base address 0 empty",
	}
	if !slices.Equal(r.log, want) {
		t.Errorf("%q", r.log)
	}
}

// A driver that panics, at its start or later, has failed, and no other.
func TestPanic(t *testing.T) {
	m := &machine{all: []abi.PCIFunction{controller}}
	r := newRig(m, nvmetest.New())
	f := &Function{PCIFunction: controller, h: r.Hardware, Name: "bad0"}
	err := f.start(&Driver{Start: func(f *Function) (func() error, error) {
		if err := f.Bind(0, func() { panic("later") }); err != nil {
			return nil, err
		}
		panic("at once")
	}})
	if err == nil || err.Error() != "its driver has failed: at once" || m.calls[len(m.calls)-1] != "release 0" {
		t.Errorf("%v, %v", err, m.calls)
	}
	if p, ok := r.takePort(); !ok || p != abi.PortDevice {
		t.Errorf("port %d: it was not given back", p)
	}
}

func TestArena(t *testing.T) {
	a := &arena{free: dma.Segment{Addr: 0x1100, Bytes: make([]byte, 0x3000)}}
	for _, c := range []struct {
		size, align int
		want        uint64
	}{{10, 4, 0x1100}, {4096, 4096, 0x2000}, {0x1101, 1, 0}, {0x1100, 256, 0x3000}, {1, 1, 0}, {-1, 1, 0}} {
		s, err := a.Alloc(c.size, c.align)
		if s.Addr != c.want || err == nil && len(s.Bytes) != c.size || (err != nil) != (c.want == 0) {
			t.Errorf("%d bytes: %#x, %v", c.size, s.Addr, err)
		}
	}
}

// emptied is a disk whose medium is taken out after the first look.
type emptied struct {
	block.Device
	looks int
}

func (d *emptied) Queues() int { return 1 }

func (d *emptied) Info() block.Info {
	i := block.Info{Blocks: 100, BlockSize: 512, MaxBlocks: 8}
	if d.looks++; d.looks > 1 {
		i.Blocks = 0
	}
	return i
}

func (d *emptied) Submit(_ int, r *block.Request) {
	i := d.Info()
	r.Done(r, block.Check(&i, r))
}

// A disk without blocks fails what is asked of it, also if it had some before.
func TestEmptied(t *testing.T) {
	r := newRig(&machine{all: []abi.PCIFunction{controller}}, nvmetest.New())
	d := &Disk{Device: &emptied{}}
	d.ended = d.count
	if err := r.Speed(d, block.Read, 512, 1, 1); !errors.Is(err, block.ErrInvalid) {
		t.Error(err)
	}
	if _, err := r.Exercise(d, 1, 1<<20, 1<<20, false); !errors.Is(err, block.ErrInvalid) {
		t.Error(err)
	}
}

// A disk that is plugged in has the name of the one that was taken out, in its place.
func TestReplaced(t *testing.T) {
	r := newRig(&machine{}, nvmetest.New())
	close(r.ready)
	var gone error
	r.AddDisk("a", &emptied{}, func() error { return gone })
	r.AddDisk("b", &emptied{}, func() error { return errors.New("gone") })
	gone = errors.New("taken out")
	r.AddDisk("a", &emptied{}, func() error { return nil })
	if all := r.Disks(); len(all) != 2 || r.Disk("a").Health() != nil || all[1].Name != "b" {
		t.Error(all)
	}
}
