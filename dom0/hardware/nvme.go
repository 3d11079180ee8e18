// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package hardware

import (
	"fmt"

	"ringo/drivers/nvme"
	"ringo/hv/abi"
)

// nvmeDriver has NVM Express controllers, of which each namespace is a disk.
var nvmeDriver = Driver{
	Name: "nvme", Memory: 6 << 20,
	Match: func(f *abi.PCIFunction) bool { return f.Class == 0x010802 },
	Start: startNVMe,
}

// nvmeQueues is how many I/O queues a controller has at most: there is memory for more
// than eight.
const nvmeQueues = 8

func startNVMe(f *Function) (rest func() error, err error) {
	regs, err := f.Window(0)
	if err != nil {
		return nil, err
	}
	nvme.Disable(regs)
	if err := f.Master(); err != nil {
		return nil, err
	}
	c, err := nvme.Start(nvme.Config{
		Regs: regs, Arena: f.Arena(), Queues: min(f.CPUs(), nvmeQueues),
		Bind: f.Bind, Present: f.Present, Stop: f.Stop, Log: f.Log,
	})
	if err != nil {
		return nil, err
	}
	for _, d := range c.Disks() {
		f.AddDisk(fmt.Sprintf("n%d", d.ID()), d, c.Dead)
	}
	return c.Close, nil
}
