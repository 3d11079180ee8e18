// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"fmt"
	"strings"
)

// Bus is what the machine's disks are attached to.
type Bus string

// The buses of QEMU.
const (
	NVMe   Bus = ""
	AHCI   Bus = "ahci" // a controller of its own, beside the machine's
	Virtio Bus = "virtio"
)

// ParseBus checks a DISKBUS value; the empty string is NVMe.
func ParseBus(s string) (Bus, error) {
	switch b := Bus(s); b {
	case NVMe, "nvme":
		return NVMe, nil
	case AHCI, Virtio:
		return b, nil
	}
	return "", fmt.Errorf("DISKBUS=%s: want nvme, ahci or virtio", s)
}

// ahciPorts is how many disks a controller has.
const ahciPorts = 6

// diskArgs attaches the images c.Disks, of which the nth has the serial number diskN.
func (c Config) diskArgs() (a []string) {
	for i, file := range c.Disks {
		format := "raw"
		if strings.HasSuffix(file, ".qcow2") {
			format = "qcow2"
		}
		id := fmt.Sprintf("disk%d", i)
		a = append(a, "-drive", "if=none,id="+id+",format="+format+",file="+escapeComma(file))
		switch c.DiskBus {
		case AHCI:
			if i%ahciPorts == 0 {
				a = append(a, "-device", fmt.Sprintf("ich9-ahci,id=sata%d", i/ahciPorts))
			}
			a = append(a, "-device", fmt.Sprintf("ide-hd,bus=sata%d.%d,drive=%s,serial=%s", i/ahciPorts, i%ahciPorts, id, id))
		case Virtio:
			more := ""
			if c.IOMMU != NoIOMMU {
				more = ",disable-legacy=on,iommu_platform=on" // or it goes around the IOMMU
			}
			a = append(a, "-device", "virtio-blk-pci,drive="+id+",serial="+id+more)
		default:
			a = append(a, "-device", "nvme,drive="+id+",serial="+id)
		}
	}
	return a
}
