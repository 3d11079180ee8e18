// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package pci is the machine's PCI functions: their configuration space, what firmware
// left there, and who of them may write memory. It has no driver of any device: those
// are dom0's.
//
// Sources are the PCI Local Bus Specification 3.0 ("Configuration Space"), the
// PCI-to-PCI Bridge Architecture Specification 1.2 and the PCI Express Base
// Specification 4.0.
package pci

import (
	"sync"
	"sync/atomic"

	"ringo/hv/abi"
)

// SpaceSize and ExtendedSize are the sizes in bytes of a function's configuration
// space, without and with the part that needs a [Window].
const (
	SpaceSize    = 256
	ExtendedSize = 4096
)

// Ports is configuration mechanism #1: the doubleword ports 0xcf8, which selects a
// register, and 0xcfc, where that is ("Software Generation of Configuration
// Transactions").
type Ports interface {
	Out(port uint16, v uint32)
	In(port uint16) uint32
}

// Ports of mechanism #1.
const (
	portAddress = 0xcf8
	portData    = 0xcfc
	enable      = 1 << 31
)

// Window is a memory-mapped part of configuration space: the buses First to Last of a
// segment ("PCI Express Enhanced Configuration Access Mechanism").
type Window struct {
	Segment     uint16
	First, Last uint8
	// Register returns the doubleword of a function's configuration space. It is
	// accessed atomically, and as a whole.
	Register func(bus, device, function uint8, reg uint16) *uint32
}

// Space is the configuration space of the machine. It is safe for concurrent use.
type Space struct {
	mu      sync.Mutex // a leaf; guards the pair of ports
	ports   Ports      // nil: there is no mechanism #1
	windows []Window
}

// NewSpace returns the configuration space behind ports, which may be nil, and
// windows.
//
// The first 256 bytes of segment 0 are accessed by ports even if there is a window:
// firmware's description of a window can be wrong, and some processors of AMD's
// (family 10h) want accesses there to be made by certain instructions only.
func NewSpace(ports Ports, windows []Window) *Space {
	s := &Space{ports: ports, windows: windows}
	if ports == nil {
		return s
	}
	old := ports.In(portAddress)
	ports.Out(portAddress, enable)
	if ports.In(portAddress) != enable {
		s.ports = nil
	}
	ports.Out(portAddress, old)
	return s
}

// window returns the window that shows a bus, or nil.
func (s *Space) window(a abi.PCIAddr) *Window {
	for i := range s.windows {
		if w := &s.windows[i]; w.Segment == a.Segment() && w.First <= a.Bus() && a.Bus() <= w.Last {
			return w
		}
	}
	return nil
}

// byPorts reports whether a register is accessed by ports.
func (s *Space) byPorts(a abi.PCIAddr, reg uint16) bool {
	return s.ports != nil && a.Segment() == 0 && reg < SpaceSize
}

// Load reads the doubleword at register reg of a function: all ones if nothing
// answers.
//
// Preconditions: reg is a multiple of 4 below [ExtendedSize].
func (s *Space) Load(a abi.PCIAddr, reg uint16) uint32 {
	if s.byPorts(a, reg) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ports.Out(portAddress, address(a, reg))
		return s.ports.In(portData)
	}
	if w := s.window(a); w != nil {
		return w.load(a, reg)
	}
	return ^uint32(0)
}

func (w *Window) load(a abi.PCIAddr, reg uint16) uint32 {
	return atomic.LoadUint32(w.Register(a.Bus(), a.Device(), a.Function(), reg))
}

// Store writes the doubleword at register reg of a function; bits that are cleared by
// ones keep their state where v has zeros.
//
// Preconditions: as of [Space.Load].
func (s *Space) Store(a abi.PCIAddr, reg uint16, v uint32) {
	if s.byPorts(a, reg) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ports.Out(portAddress, address(a, reg))
		s.ports.Out(portData, v)
	} else if w := s.window(a); w != nil {
		atomic.StoreUint32(w.Register(a.Bus(), a.Device(), a.Function(), reg), v)
	}
}

// address selects a register of a function of segment 0.
func address(a abi.PCIAddr, reg uint16) uint32 { return enable | uint32(a)<<8 | uint32(reg) }

// buses calls f for every bus that a mechanism reaches, ascending within a segment.
func (s *Space) buses(f func(segment uint16, bus uint8)) {
	if s.ports != nil {
		for bus := range 256 {
			f(0, uint8(bus))
		}
	}
	for _, w := range s.windows {
		if s.ports != nil && w.Segment == 0 {
			continue
		}
		for bus := int(w.First); bus <= int(w.Last); bus++ {
			f(w.Segment, uint8(bus))
		}
	}
}
