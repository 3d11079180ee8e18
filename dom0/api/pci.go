// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package api

import (
	"fmt"

	"ringo/dom0/problem"
	"ringo/drivers/pci"
	"ringo/hv/abi"
)

// PCIFunction is a PCI function of the machine, as it was at boot.
type PCIFunction struct {
	Address   string     `json:"address"` // as 00:1f.2, with a segment if that is not 0
	Class     string     `json:"class"`
	ClassCode string     `json:"class_code"` // six digits
	ID        string     `json:"id"`         // vendor:device, four digits each
	Subsystem string     `json:"subsystem,omitempty"`
	Revision  uint8      `json:"revision"`
	Buses     *PCIBuses  `json:"buses,omitempty"` // of a bridge to PCI
	Ranges    []PCIRange `json:"ranges"`
	// Master is one of the constants.
	Master string `json:"bus_master"`
}

// Values of PCIFunction.Master: who may write memory.
const (
	MasterOff      = "off" // it was off, and is
	MasterStopped  = "stopped at boot"
	MasterFirmware = "as firmware left it" // on, and needed
	MasterBridge   = "for what is behind it"
)

// PCIBuses are the buses behind a bridge.
type PCIBuses struct {
	First uint8 `json:"first"`
	Last  uint8 `json:"last"`
}

// PCIRange is what a base address register decodes.
type PCIRange struct {
	BAR   int    `json:"bar"`
	Ports bool   `json:"ports,omitempty"` // I/O ports, else memory
	Start uint64 `json:"start"`           // 0: firmware has assigned nothing
	Size  uint64 `json:"size,omitempty"`  // 0: not measured
	Wide  bool   `json:"wide,omitempty"`  // 64-bit
	// Prefetchable: reads have no side effects.
	Prefetchable bool `json:"prefetchable,omitempty"`
}

// PCICapability is an entry of a function's lists.
type PCICapability struct {
	ID       uint16 `json:"id"`
	Extended bool   `json:"extended,omitempty"`
	Register uint16 `json:"register"`
	Name     string `json:"name,omitempty"`
	Messages int    `json:"messages,omitempty"` // of MSI and MSI-X
}

// PCIDetails is a function with what its configuration space says now.
type PCIDetails struct {
	PCIFunction
	Capabilities []PCICapability `json:"capabilities"`
	Config       []byte          `json:"config"` // its first 256 bytes
}

// PCIRef names a function.
type PCIRef struct {
	Address string `json:"address"`
}

// Verbs of PCI functions.
var (
	PCIList = add("pci.list", func(a *API, _ *None) ([]PCIFunction, error) {
		all, err := a.HV.PCIFunctions()
		out := make([]PCIFunction, len(all))
		for i := range all {
			out[i] = pciFunction(&all[i])
		}
		return out, err
	})
	PCIShow = add("pci.show", func(a *API, in *PCIRef) (out PCIDetails, err error) {
		addr, ok := pci.ParseAddr(in.Address)
		if !ok {
			return out, problem.New(problem.Invalid, "use bus:device.function in hexadecimal, as pci lists them", "%q is not the address of a PCI function", in.Address)
		}
		all, err := a.HV.PCIFunctions()
		if err != nil {
			return out, err
		}
		for i := range all {
			if all[i].Addr == abi.PCIAddr(addr) {
				return a.pciDetails(&all[i])
			}
		}
		return out, problem.New(problem.NotFound, "pci lists those that there are", "there is no PCI function %v", addr)
	})
)

func pciFunction(f *abi.PCIFunction) PCIFunction {
	out := PCIFunction{
		Address: pci.Addr(f.Addr).String(), Class: pci.Class(f.Class), ClassCode: fmt.Sprintf("%06x", f.Class),
		ID: ids(f.Vendor, f.Device), Revision: f.Revision, Ranges: []PCIRange{}, Master: MasterOff,
	}
	switch {
	case f.Flags&abi.PCIStopped != 0:
		out.Master = MasterStopped
	case f.Flags&abi.PCIMaster != 0:
		out.Master = MasterFirmware
	case f.Class>>16 == 6:
		out.Master = MasterBridge
	}
	if f.Header == 1 {
		out.Buses = &PCIBuses{f.Secondary, f.Subordinate}
	}
	if f.Subvendor != 0 {
		out.Subsystem = ids(f.Subvendor, f.Subdevice)
	}
	for i, b := range f.BAR {
		if b.Flags&abi.BARPresent != 0 {
			out.Ranges = append(out.Ranges, PCIRange{
				BAR: i, Ports: b.Flags&abi.BARPort != 0, Start: b.Addr, Size: b.Size,
				Wide: b.Flags&abi.BAR64 != 0, Prefetchable: b.Flags&abi.BARPrefetch != 0,
			})
		}
	}
	return out
}

func ids(vendor, device uint16) string { return fmt.Sprintf("%04x:%04x", vendor, device) }

// pciDetails reads the configuration space of a function.
func (a *API) pciDetails(f *abi.PCIFunction) (PCIDetails, error) {
	out := PCIDetails{PCIFunction: pciFunction(f), Capabilities: []PCICapability{}}
	var failed error
	read := func(reg uint16) uint32 {
		v, err := a.HV.PCIRead(f.Addr, reg, 4)
		if err != nil {
			failed = err
			return ^uint32(0)
		}
		return v
	}
	for reg := uint16(0); reg < 256; reg += 4 {
		v := read(reg)
		out.Config = append(out.Config, byte(v), byte(v>>8), byte(v>>16), byte(v>>24))
	}
	for _, c := range pci.Capabilities(read) {
		out.Capabilities = append(out.Capabilities, PCICapability{c.ID, c.Extended, c.Reg, c.Name(), c.Messages()})
	}
	return out, failed
}
