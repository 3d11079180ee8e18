// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Bus is what the machine's disks are attached to.
type Bus string

// The buses of QEMU. Bochs has IDE only.
const (
	NVMe   Bus = ""
	AHCI   Bus = "ahci" // a controller of its own, beside the machine's
	Virtio Bus = "virtio"
	IDE    Bus = "ide"
)

// ParseBus checks a DISKBUS value; the empty string is NVMe.
func ParseBus(s string) (Bus, error) {
	switch b := Bus(s); b {
	case NVMe, "nvme":
		return NVMe, nil
	case AHCI, Virtio, IDE:
		return b, nil
	}
	return "", fmt.Errorf("DISKBUS=%s: want nvme, ahci, virtio or ide", s)
}

// How many disks a controller has, and of IDE in Bochs, where the boot CD is on the other
// channel.
const (
	ahciPorts = 6
	ideDrives = 4
	bochsIDE  = 2
)

// checkDisks refuses what there is no place for.
func (c Config) checkDisks() error {
	switch {
	case c.Accel == InBochs && len(c.Disks) > 0 && c.DiskBus != IDE:
		return errors.New("emu: Bochs has IDE disks only")
	case c.Accel == InBochs && slices.ContainsFunc(c.Disks, isQCOW2):
		return errors.New("emu: disks in Bochs are raw")
	case c.Accel == InBochs && len(c.Disks) > bochsIDE, c.DiskBus == IDE && len(c.Disks) > ideDrives:
		return errors.New("emu: too many IDE disks")
	}
	return nil
}

// DiskName is what dom0 calls the disk c.Disks[i] of QEMU.
func (c Config) DiskName(i int) (string, error) {
	switch c.DiskBus {
	case AHCI:
		return fmt.Sprintf("ahci%dp%d", i/ahciPorts, i%ahciPorts), nil
	case Virtio:
		return fmt.Sprintf("vd%d", i), nil
	case IDE:
		if i >= ideDrives {
			return "", errors.New("DISKBUS=ide has no place for another disk")
		}
		return fmt.Sprintf("ide0c%dd%d", i/2, i%2), nil
	}
	return fmt.Sprintf("nvme%dn1", i), nil
}

func isQCOW2(file string) bool { return strings.HasSuffix(file, ".qcow2") }

// diskArgs attaches the images c.Disks, of which the nth has the serial number diskN.
func (c Config) diskArgs() (a []string) {
	for i, file := range c.Disks {
		format := "raw"
		if isQCOW2(file) {
			format = "qcow2"
		}
		id := fmt.Sprintf("disk%d", i)
		if slices.Contains(c.Volatile, file) {
			format += ",snapshot=on"
		}
		a = append(a, "-drive", "if=none,id="+id+",format="+format+",file="+escapeComma(file))
		switch c.DiskBus {
		case AHCI:
			if i%ahciPorts == 0 {
				a = append(a, "-device", fmt.Sprintf("ich9-ahci,id=sata%d", i/ahciPorts))
			}
			a = append(a, "-device", fmt.Sprintf("ide-hd,bus=sata%d.%d,drive=%s,serial=%s", i/ahciPorts, i%ahciPorts, id, id))
		case IDE:
			if i == 0 {
				a = append(a, "-device", "piix3-ide,id=old")
			}
			a = append(a, "-device", fmt.Sprintf("ide-hd,bus=old.%d,unit=%d,drive=%s,serial=%s", i/2, i%2, id, id))
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
