// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package acpi

// Generation is the generation identifier of a virtual machine: 16 bytes of its memory
// that are others in each copy of it, and after it has gone back to an earlier state, so
// that it draws no random number and gives no name twice (Microsoft, "Virtual Machine
// Generation ID").
type Generation struct {
	// Address is where it lies, in guest physical memory below 4 GiB that systems neither
	// use nor reclaim: a multiple of 8, in a page that nothing else is in.
	Address uint32
	Event   uint8 // that says that it has changed
}

const (
	generationName = "VGEN"
	generationPath = `\_SB.` + generationName
	// notifyStatus is the first value whose meaning is the device's own (ACPI 6.5, "Device
	// Object Notification Types").
	notifyStatus = 0x80
)

// node is the device. Systems know it by its compatible identifier and ask ADDR for the
// low and the high half of the address; the hardware identifier is the hypervisor's own
// (Microsoft, "Virtual Machine Generation ID", "Hypervisor vendors").
func (g *Generation) node() []byte {
	return device(generationName,
		name("_HID", text("RNGO0001")),
		name("_CID", text("VM_Gen_Counter")),
		name("_DDN", text("VM_Gen_Counter")),
		method("ADDR", 0, false, giveBack(pack(integer(g.Address), integer(0)))))
}
