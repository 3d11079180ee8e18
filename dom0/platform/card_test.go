// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package platform

import (
	"testing"

	"ringo/dom0/account"
	"ringo/dom0/config"
	"ringo/dom0/devmodel/hotplug"
	"ringo/dom0/devmodel/serial"
	"ringo/dom0/guestmem"
	"ringo/dom0/hcall/hcalltest"
	"ringo/dom0/network/lan"
	"ringo/hv/abi"
)

// slotGuest does what a system does with the registers of slots: it says whether there is
// a network card where something has come, and ejects what it is asked for.
func slotGuest(c *hcalltest.CPU) {
	const come, giveBack, eject = hotplug.SlotBase, hotplug.SlotBase + 4, hotplug.SlotBase + 12
	c.Out(hotplug.EventBase+2, 1<<hotplug.SlotEvent)
	c.Out(serial.Base, 'r')
	for {
		c.WaitIRQ(abi.IRQSCI)
		c.Out(hotplug.EventBase, 1<<hotplug.SlotEvent)
		if v := c.Read(abi.SpacePort, come, 4); v != 0 {
			c.Write(abi.SpacePort, come, v, 4)
			if v == 1<<5 && (pci{c}).find(0x1041_1af4) == 5 {
				c.Out(serial.Base, 'c')
			} else {
				c.Out(serial.Base, '?')
			}
		}
		if v := c.Read(abi.SpacePort, giveBack, 4); v != 0 {
			c.Write(abi.SpacePort, giveBack, v, 4)
			c.Write(abi.SpacePort, eject, v, 4)
		}
	}
}

// A network card comes, goes when the guest gives it back, and by force: each time its
// network and what was reserved for it are as before.
func TestPlugCard(t *testing.T) {
	r := newRig(t, slotGuest)
	budget := account.New(64 << 20)
	r.pc.memory = budget.Account("a guest")
	used := func() uint64 { all, _ := budget.Use(); return all[0].Bytes }
	networks, owner := lan.New(lan.Options{}), lan.Owner{Name: "a"}
	empty := make(chan int, 1)
	r.a.Memory, r.a.Emptied = guestmem.New(nil), func(slot int) { empty <- slot }
	g := r.start(t, r.a)
	n := 1
	output(t, g, n)
	free := used()
	plug := func(mac string) error {
		c, err := networks.Add(owner, []config.NIC{{Network: "private:x", Slot: 5, MAC: mac}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.pc.PlugCard(r.a.ID, c)
		return err
	}
	for _, force := range []bool{false, true} {
		if err := plug(""); err != nil {
			t.Fatal(err)
		}
		n++
		if got := output(t, g, n); got[n-1] != 'c' {
			t.Errorf("the guest says %q", got)
		}
		if got := used() - free; got != cardBytes(new(lan.Card), 1) || len(networks.List()) != 1 {
			t.Errorf("%d bytes are reserved for a card, want %d; %v", got, cardBytes(new(lan.Card), 1), networks.List())
		}
		if err := plug("52:54:00:00:00:01"); err == nil {
			t.Error("two cards in a slot")
		}
		if force {
			r.pc.Pull(r.a.ID, 5)
		} else if !r.pc.AskBack(r.a.ID, 5) || <-empty != 5 {
			t.Error("it is not given back")
		}
		if used() != free || len(networks.List()) != 0 || len(networks.Of(owner.UUID)) != 0 {
			t.Errorf("%d bytes are reserved, %d before; %v", used(), free, networks.List())
		}
	}
	r.pc.Detach(r.a.ID, false)
	if err := plug(""); err == nil || len(networks.List()) != 0 {
		t.Errorf("a card of nobody: %v", err)
	}
}
