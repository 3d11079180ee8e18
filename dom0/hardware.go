// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"runtime/debug"

	"ringo/boot/kernel"
	"ringo/dom0/event"
	"ringo/dom0/files"
	"ringo/dom0/hardware"
	"ringo/dom0/hcall"
	"ringo/dom0/network"
	"ringo/dom0/network/lan"
	"ringo/dom0/storage"
	"ringo/drivers/nic"
	"ringo/hv/insn"
)

// newHardware looks for devices, and takes the memory that they need. Network cards are
// dom0's own, and uplinks of guests.
func newHardware(hv *hcall.Client, events *event.Server, cpus int, net *network.Network, uplinks *lan.Uplinks, log func(string)) *hardware.Hardware {
	return hardware.New(hardware.Options{
		HV: hv, Events: events, CPUs: cpus, Log: log,
		Map: kernel.MapDevice, Registers: hardware.Direct(hcall.Direct{}.Slice), Memory: deviceMemory,
		Ports: hardware.PortIO{In: insn.In, Out: insn.Out},
		Card: func(name string, d nic.Device) {
			if _, err := net.Add(name, uplinks.Add(name, d)); err != nil {
				log("error: " + err.Error())
			}
		},
	})
}

// disks are those of the machine that files can be on.
func disks(h *hardware.Hardware) (all []files.Disk) {
	for _, d := range h.Disks() {
		if r := d.Reader(); r != nil {
			all = append(all, files.Disk{Name: d.Name, R: r, Size: r.Size(), Block: d.Info().BlockSize})
		}
	}
	return all
}

// sources are the disks of the machine that domains can have.
func sources(h *hardware.Hardware) (all []storage.Source) {
	for _, d := range h.Disks() {
		s := storage.Source{Name: d.Name, Device: d}
		if r := d.Reader(); r != nil {
			s.R = r
		}
		all = append(all, s)
	}
	return all
}

// deviceMemory takes memory from that of the Go runtime, which learns that it has less.
func deviceMemory(size int) (addr uint64, b []byte, ok bool) {
	a, b, ok := kernel.Contiguous(uint64(size))
	if ok {
		debug.SetMemoryLimit(debug.SetMemoryLimit(-1) - int64(size))
	}
	return uint64(a), b, ok
}
