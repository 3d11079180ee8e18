// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package platform

import (
	"testing"
	"time"

	"ringo/dom0/board"
	"ringo/dom0/config"
	"ringo/dom0/devmodel/serial"
	"ringo/dom0/guestmem"
	"ringo/dom0/hcall/hcalltest"
	"ringo/drivers/virtio/ring"
	"ringo/hv/abi"
)

// drivePrint prints on the virtio console, as a driver does that knows one port only.
func drivePrint(c pci, mem *guestmem.Memory, text string) {
	s := c.find(0x1043_1af4)
	if s < 0 { // the second function of slot 1
		for reg, v := range map[int]uint64{0x10: 0xc100_0000, 0x14: 0xd800, 4: 7} {
			c.Write(abi.SpaceConfig, uint64(1<<15|1<<12|reg), v, 4)
		}
	} else {
		c.set(s, 0x10, 0xc100_0000, 4)
		c.set(s, 0x14, 0xd800, 4)
		c.set(s, 4, 7, 2)
	}
	w := func(off, v uint64, size uint8) { c.Write(abi.SpaceMemory, 0xc100_0000+off, v, size) }
	w(20, 3, 1)
	w(8, 1, 4)
	w(12, 1, 4) // VIRTIO_F_VERSION_1
	w(20, 11, 1)
	l := ring.Layout{Size: 4, Desc: 0x1000, Avail: 0x2000, Used: 0x3000}
	d, err := ring.NewDriver(mem, l)
	if err != nil {
		c.Crash(err.Error())
	}
	w(22, 1, 2) // what is sent by the first port
	w(24, 4, 2)
	w(32, l.Desc, 4)
	w(40, l.Avail, 4)
	w(48, l.Used, 4)
	w(28, 1, 2)
	w(20, 15, 1)
	n := copy(mem.RAM(0x4000, 64), text)
	d.Add([]ring.Buffer{{Addr: 0x4000, Len: uint32(n)}}, nil)
	c.Write(abi.SpacePort, 0xd800+4, 1, 2)
	c.Out(serial.Base, 'd')
	c.WaitIRQ(0)
}

// A domain has the consoles and ports of its configuration, and what it prints is there,
// also where it has no entropy device.
func TestPorts(t *testing.T) {
	for _, rng := range []bool{true, false} {
		mem := guestmem.New([]guestmem.Extent{{GPA: 0, Bytes: make([]byte, 0x10000)}})
		r := newRig(t, func(c *hcalltest.CPU) { drivePrint(pci{c}, mem, "hello") })
		m, err := board.New(board.Config{CPUs: 1, Memory: 64 << 20, RNG: rng, Console: true})
		if err != nil {
			t.Fatal(err)
		}
		a := r.a
		a.Memory, a.Machine, a.HVC, a.Ports = mem, m, true, []string{"agent"}
		output(t, r.start(t, a), 1)
		hvc := r.pc.Console(a.ID, config.HVC)
		output(t, hvc, 5)
		var b [5]byte
		if hvc.Read(b[:], 0); string(b[:]) != "hello" {
			t.Errorf("it prints %q", b)
		}
		if got := r.pc.names(a.ID); len(got) != 3 || got[0] != "agent" {
			t.Errorf("its consoles are %q", got)
		}
		const want = `domain "a" has no console or port "agnet": it has agent, hvc, serial`
		if err := (Terminal{Platform: r.pc}).Attach(a.ID, "a", "agnet", false, false); err == nil || err.Error() != want {
			t.Error(err)
		}
		if err := (Terminal{Platform: r.pc}).Attach(99, "b", "", false, false); err == nil || err.Error() != `domain "b" has no console (any more)` {
			t.Error(err)
		}
		hvc.Send([]byte("nobody reads this"))
		r.pc.Detach(a.ID, false)
		select {
		case <-hvc.Gone():
		case <-time.After(time.Minute):
			t.Error("the console is not closed")
		}
		if mem.Pin() {
			t.Error("the memory is still in use")
		}
	}
}
