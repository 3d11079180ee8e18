// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package hardware

import (
	"ringo/drivers/virtio"
	"ringo/drivers/virtio/disk"
	"ringo/hv/abi"
)

// virtioVendor is who all virtio devices are of ("PCI Device Discovery").
const virtioVendor = 0x1af4

// virtioDiskDriver has virtio block devices, those that can be used as legacy devices too.
var virtioDiskDriver = Driver{
	Name: "vd", Memory: 2 << 20,
	Match: func(f *abi.PCIFunction) bool {
		return f.Vendor == virtioVendor && (f.Device == 0x1042 || f.Device == 0x1001)
	},
	Start: startVirtioDisk,
}

// virtioQueues is how many queues a disk has at most: there is memory for more than
// eight.
const virtioQueues = 8

func startVirtioDisk(f *Function) (rest func() error, err error) {
	d, err := disk.Start(f.virtio(), min(f.CPUs(), virtioQueues))
	if err != nil {
		return nil, err
	}
	f.AddDisk("", d, d.Dead)
	return d.Close, nil
}

// virtio is the function as drivers of virtio devices see it. Firmware has left it
// working, so it is quiet before it may write memory.
func (f *Function) virtio() virtio.Function {
	return virtio.Function{
		Config: f.Config, BAR: f.Window, Arena: f.Arena(), Bind: f.Bind, Present: f.Present, Stop: f.Stop, Log: f.Log,
		Master: f.Master,
	}
}
