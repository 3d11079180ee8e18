// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDiskArgs(t *testing.T) {
	for _, c := range []struct {
		bus   Bus
		iommu IOMMU
		want  string
	}{
		{NVMe, NoIOMMU, "-drive if=none,id=disk0,format=raw,file=a,,b.img -device nvme,drive=disk0,serial=disk0 " +
			"-drive if=none,id=disk1,format=qcow2,file=c.qcow2 -device nvme,drive=disk1,serial=disk1"},
		{AHCI, Intel, "-drive if=none,id=disk0,format=raw,file=a,,b.img -device ich9-ahci,id=sata0 -device ide-hd,bus=sata0.0,drive=disk0,serial=disk0 " +
			"-drive if=none,id=disk1,format=qcow2,file=c.qcow2 -device ide-hd,bus=sata0.1,drive=disk1,serial=disk1"},
		{IDE, NoIOMMU, "-drive if=none,id=disk0,format=raw,file=a,,b.img -device piix3-ide,id=old -device ide-hd,bus=old.0,unit=0,drive=disk0,serial=disk0 " +
			"-drive if=none,id=disk1,format=qcow2,file=c.qcow2 -device ide-hd,bus=old.0,unit=1,drive=disk1,serial=disk1"},
		{Virtio, NoIOMMU, "-drive if=none,id=disk0,format=raw,file=a,,b.img -device virtio-blk-pci,drive=disk0,serial=disk0 " +
			"-drive if=none,id=disk1,format=qcow2,file=c.qcow2 -device virtio-blk-pci,drive=disk1,serial=disk1"},
		{Virtio, AMD, "-drive if=none,id=disk0,format=raw,file=a,,b.img -device virtio-blk-pci,drive=disk0,serial=disk0,disable-legacy=on,iommu_platform=on " +
			"-drive if=none,id=disk1,format=qcow2,file=c.qcow2 -device virtio-blk-pci,drive=disk1,serial=disk1,disable-legacy=on,iommu_platform=on"},
	} {
		got := Config{Disks: []string{"a,b.img", "c.qcow2"}, DiskBus: c.bus, IOMMU: c.iommu}.diskArgs()
		if diff := cmp.Diff(c.want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%s, %s: %s", c.bus, c.iommu, diff)
		}
	}
}

func TestVolatileDisk(t *testing.T) {
	got := strings.Join(Config{Disks: []string{"a.img", "b.img"}, Volatile: []string{"b.img"}}.diskArgs(), " ")
	if !strings.Contains(got, "id=disk0,format=raw,file=a.img") || !strings.Contains(got, "id=disk1,format=raw,snapshot=on,file=b.img") {
		t.Error(got)
	}
}

func TestDiskName(t *testing.T) {
	for _, c := range []struct {
		bus  Bus
		i    int
		want string
	}{{NVMe, 0, "nvme0n1"}, {AHCI, 7, "ahci1p1"}, {Virtio, 2, "vd2"}, {IDE, 3, "ide0c1d1"}, {IDE, 4, ""}} {
		if got, err := (Config{DiskBus: c.bus}).DiskName(c.i); got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s %d: %q, %v", c.bus, c.i, got, err)
		}
	}
}
