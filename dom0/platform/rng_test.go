// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package platform

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"ringo/dom0/devmodel/pcihost"
	"ringo/dom0/guestmem"
	"ringo/dom0/hcall/hcalltest"
	"ringo/drivers/virtio/ring"
	"ringo/hv/abi"
)

// pci is a guest's access to PCI configuration space.
type pci struct{ *hcalltest.CPU }

func (c pci) get(slot, reg int, size uint8) uint64 {
	return c.Read(abi.SpaceConfig, uint64(slot<<15|reg), size)
}

func (c pci) set(slot, reg int, v uint64, size uint8) {
	c.Write(abi.SpaceConfig, uint64(slot<<15|reg), v, size)
}

// find returns the slot of a function.
func (c pci) find(id uint64) int {
	for slot := range 32 {
		if c.get(slot, 0, 4) == id {
			return slot
		}
	}
	return -1
}

// driveRNG finds the entropy device as a driver does, moves its doorbell, and asks
// for random bytes by MSI-X, then by the pin.
func driveRNG(c pci, mem *guestmem.Memory) error {
	const vector, capMSIX = 0x61, 0x40
	s := c.find(0x1044_1af4)
	if s < 0 {
		return fmt.Errorf("no device")
	}
	regs, io := c.get(s, 0x10, 4), c.get(s, 0x14, 4)&^3
	c.set(s, 4, 7, 2)         // I/O, memory, bus master
	c.set(s, 0x14, 0xd000, 4) // with its doorbell
	if io == 0xd000 || c.get(s, 0x14, 4) != 0xd001 {
		return fmt.Errorf("I/O was at %#x, is at %#x", io, c.get(s, 0x14, 4))
	}
	w := func(off, v uint64, size uint8) { c.Write(abi.SpaceMemory, regs+off, v, size) }
	rd := func(off uint64, size uint8) uint64 { return c.Read(abi.SpaceMemory, regs+off, size) }
	start := func(queueVector uint64) (*ring.Driver, error) {
		w(20, 0, 1)
		for rd(20, 1) != 0 {
			time.Sleep(time.Millisecond)
		}
		w(20, 3, 1)
		w(8, 1, 4)
		w(12, 1, 4) // VIRTIO_F_VERSION_1
		w(20, 11, 1)
		l := ring.Layout{Size: 4, Desc: 0x1000, Avail: 0x2000, Used: 0x3000}
		d, err := ring.NewDriver(mem, l)
		if err != nil {
			return nil, err
		}
		w(22, 0, 2)
		w(24, 4, 2)
		w(26, queueVector, 2)
		w(32, l.Desc, 4)
		w(40, l.Avail, 4)
		w(48, l.Used, 4)
		w(28, 1, 2)
		w(20, 15, 1)
		if rd(20, 1) != 15 {
			return nil, fmt.Errorf("status %#x", rd(20, 1))
		}
		return d, nil
	}
	ask := func(d *ring.Driver) error {
		buf := mem.RAM(0x4000, 64)
		clear(buf)
		d.Add([]ring.Buffer{{Addr: 0x4000, Len: 64, Write: true}}, nil)
		if d.Notify() {
			c.Write(abi.SpacePort, 0xd000, 0, 2)
		}
		return nil
	}
	check := func(d *ring.Driver) error {
		_, n, ok := d.Next()
		if !ok || n != 64 || bytes.Equal(mem.RAM(0x4000, 64), make([]byte, 64)) {
			return fmt.Errorf("%v, %d bytes: % x", ok, n, mem.RAM(0x4000, 64))
		}
		return nil
	}
	// The table of MSI-X: vector 1 for the queue.
	c.set(s, capMSIX+2, 1<<15, 2)
	w(0x2010, 0xfee0_0000, 4)
	w(0x2018, vector, 4)
	w(0x201c, 0, 4)
	d, err := start(1)
	if err != nil {
		return err
	}
	for range 3 {
		if err := ask(d); err != nil {
			return err
		}
		if v := c.WaitMSI(); v != vector {
			return fmt.Errorf("message %#x", v)
		}
		if err := check(d); err != nil {
			return err
		}
	}
	// The pin.
	c.set(s, capMSIX+2, 0, 2)
	if d, err = start(0xffff); err != nil {
		return err
	}
	if err := ask(d); err != nil {
		return err
	}
	c.WaitIRQ(int(pcihost.GSI(s, 0)))
	if isr := rd(0x1000, 1); isr != 1 {
		return fmt.Errorf("ISR %#x", isr)
	}
	return check(d)
}

func TestRNG(t *testing.T) {
	mem := guestmem.New([]guestmem.Extent{{GPA: 0, Bytes: make([]byte, 0x10000)}})
	done := make(chan error)
	r := newRig(t, func(c *hcalltest.CPU) { done <- driveRNG(pci{c}, mem) })
	r.a.Memory = mem
	r.start(t, r.a)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	r.pc.Detach(r.a.ID, false)
	if mem.Pin() {
		t.Error("the memory is still in use")
	}
}

// The guest resets by port 0xcf9 and by the keyboard controller.
func TestResets(t *testing.T) {
	for _, w := range [][2]uint64{{abi.PortReset, abi.ResetValue}, {abi.PortKeyboard + 4, abi.KeyboardReset}} {
		r := newRig(t, func(c *hcalltest.CPU) {
			c.Write(abi.SpacePort, w[0], w[1], 1)
			t.Error("the guest goes on")
		})
		r.start(t, r.a)
		for {
			if in, err := r.hv.Info(r.a.ID); err != nil || in.Shutdown != abi.ShutdownNone {
				if err != nil || in.Shutdown != abi.ShutdownReboot {
					t.Errorf("port %#x: %v, %v", w[0], in.Shutdown, err)
				}
				break
			}
			time.Sleep(time.Millisecond)
		}
		r.pc.Detach(r.a.ID, false)
	}
}
