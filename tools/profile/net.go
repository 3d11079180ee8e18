// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"errors"
	"net"
	"strconv"
	"strings"

	"ringo/tools/emu"
)

// Figures of a network card, a virtio device. interrupt is from the hypervisor's HLT,
// which the card's message ends, to the driver's goroutine in dom0. ping is from one
// echo request to the next, which is sent when the first is answered.
const (
	interrupt = "interrupt"
	ping      = "ping"

	idleLoop    = "ringo/boot/kernel.idleLoop"
	vectors     = "ringo/boot/kernel.stubs"
	timerVector = 0xf1
	served      = "ringo/drivers/nic/card.(*Card).serve"
	echo        = "ringo/dom0/network.(*Pinger).Once"
)

// clockArgs make the machine's clock go as it does for make bench: where time jumps to
// the next timer while all sleeps, timers are all that it is woken by.
var clockArgs = []string{"-icount", "shift=0,sleep=on"}

// sender sends the card frames that dom0 has no use for.
type sender struct {
	conn net.PacketConn
	to   net.Addr
}

// newSender returns one, and what connects a card to it.
func newSender() (*sender, []string, error) {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	// A port that is free now is the emulator's.
	other, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	defer other.Close()
	s := &sender{conn: c, to: other.LocalAddr()}
	port := func(c net.PacketConn) string { return strconv.Itoa(c.LocalAddr().(*net.UDPAddr).Port) }
	return s, []string{"-netdev", "socket,id=net,udp=127.0.0.1:" + port(c) + ",localaddr=127.0.0.1:" + port(other),
		"-device", "virtio-net-pci,netdev=net,romfile="}, nil
}

// send sends a frame to a machine that sleeps.
func (s *sender) send(m *emu.Machine) error {
	if r, err := m.Monitor.HMP("info registers"); err != nil || !strings.Contains(r, "HLT=1") {
		return err
	}
	frame := make([]byte, 60)
	for i := range 6 {
		frame[i] = 0xff
	}
	copy(frame[6:], []byte{2, 0, 0, 0, 0, 1, 0x88, 0xb5}) // an EtherType for experiments
	_, err := s.conn.WriteTo(frame, s.to)
	return err
}

// entry is where a function of dom0 begins.
func (s symbols) entry(function string) (uint64, error) {
	if f := s.dom0.LookupFunc(function); f != nil {
		return f.Entry, nil
	}
	return 0, errors.New("dom0 has no function " + function)
}

// sleep is where the hypervisor's HLT is, behind the STI with which its loop begins, and
// where it begins to serve its timer: stubs are eight bytes apart.
func (s symbols) sleep() (halt, timer uint64, err error) {
	idle, stubs := s.hv.LookupFunc(idleLoop), s.hv.LookupFunc(vectors)
	if idle == nil || stubs == nil {
		return 0, 0, errors.New("hv has no " + idleLoop + ", or no " + vectors)
	}
	return idle.Entry + 1, stubs.Entry + timerVector*8, nil
}

// beginInterrupts waits until the drivers have started, and returns where that of the card
// begins when it was woken.
func beginInterrupts(m *emu.Machine, syms symbols) (uint64, error) {
	if _, _, err := m.Expect(deadline, prompt); err != nil {
		return 0, err
	}
	// The first verb returns when they have.
	if err := m.Send("disks\rdebug-keys t\r"); err != nil {
		return 0, err
	}
	if _, _, err := m.Expect(deadline, "TSC "); err != nil {
		return 0, err
	}
	return syms.entry(served)
}

// beginPings makes dom0 ping until the machine ends.
func beginPings(m *emu.Machine, syms symbols) (uint64, error) {
	at, err := syms.entry(echo)
	if err != nil {
		return 0, err
	}
	if _, _, err := m.Expect(deadline, "by DHCP"); err != nil {
		return 0, err
	}
	// The first of them warm up what they need.
	if err := m.Send("net-speed -p -n 100 10.0.2.2\r"); err != nil {
		return 0, err
	}
	if _, _, err := m.Expect(deadline, "of the CPUs"); err != nil {
		return 0, err
	}
	if err := m.Send("net-speed -p -n 1000000 10.0.2.2\r"); err != nil {
		return 0, err
	}
	return at, nil
}
