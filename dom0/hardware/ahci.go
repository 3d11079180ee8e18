// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package hardware

import (
	"fmt"

	"ringo/drivers/ahci"
	"ringo/hv/abi"
)

// ahciDriver has SATA controllers. A disk is named by its port.
var ahciDriver = Driver{
	Name: "ahci", Memory: ahciPorts * 256 << 10,
	Match: func(f *abi.PCIFunction) bool { return f.Class == 0x010601 },
	Start: startAHCI,
}

// ahciPorts is how many ports with a device there is memory for.
const ahciPorts = 6

func startAHCI(f *Function) (rest func() error, err error) {
	regs, err := f.Window(5)
	if err != nil {
		return nil, err
	}
	ahci.Disable(regs)
	if err := f.Master(); err != nil {
		return nil, err
	}
	c, err := ahci.Start(ahci.Config{
		Regs: regs, Arena: f.Arena(), Bind: f.Bind, Present: f.Present, Stop: f.Stop, Log: f.Log,
		Attach: func(d *ahci.Disk) { f.AddDisk(fmt.Sprintf("p%d", d.Port()), d, d.Dead) },
	})
	if err != nil {
		return nil, err
	}
	return c.Close, nil
}
