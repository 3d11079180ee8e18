// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pci

// classes names what functions are, by base class<<16 | subclass<<8 | programming
// interface; where no row has the interface, the row with 0 counts, and where none has
// the subclass, that of the base class (PCI Code and ID Assignment Specification 1.11).
var classes = map[uint32]string{
	0x000100: "VGA-compatible device",
	0x010000: "SCSI controller",
	0x010100: "IDE controller",
	0x010400: "RAID controller",
	0x010600: "SATA controller",
	0x010601: "SATA controller (AHCI)",
	0x010700: "SAS controller",
	0x010800: "non-volatile memory controller",
	0x010802: "NVMe controller",
	0x018000: "storage controller",
	0x020000: "Ethernet controller",
	0x020700: "InfiniBand controller",
	0x028000: "network controller",
	0x030000: "VGA controller",
	0x030200: "3D controller",
	0x038000: "display controller",
	0x040100: "audio device",
	0x040300: "HD audio device",
	0x048000: "multimedia device",
	0x050000: "RAM",
	0x058000: "memory controller",
	0x060000: "host bridge",
	0x060100: "ISA bridge",
	0x060400: "PCI bridge",
	0x068000: "bridge",
	0x070000: "serial port",
	0x070002: "serial port (16550)",
	0x078000: "communication controller",
	0x080000: "interrupt controller",
	0x080020: "I/O APIC",
	0x080100: "DMA controller",
	0x080200: "timer",
	0x080300: "clock",
	0x080600: "IOMMU",
	0x088000: "system device",
	0x090000: "keyboard",
	0x0b4000: "coprocessor",
	0x0c0000: "FireWire controller",
	0x0c0300: "USB controller",
	0x0c0310: "USB controller (OHCI)",
	0x0c0320: "USB controller (EHCI)",
	0x0c0330: "USB controller (xHCI)",
	0x0c0500: "SMBus",
	0x0c0700: "IPMI interface",
	0x0d8000: "wireless controller",
	0x100000: "encryption controller",
	0x108000: "encryption controller",
	0x118000: "signal processing controller",
	0x120000: "accelerator",
	0x130000: "instrumentation",
	0xff0000: "device without a class",
}

// Class names what a function is by its class code, 24 bits.
func Class(code uint32) string {
	for _, c := range []uint32{code, code &^ 0xff, code&0xff0000 | 0x8000, code & 0xff0000} {
		if s := classes[c]; s != "" {
			return s
		}
	}
	return "device of an unknown class"
}
