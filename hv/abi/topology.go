// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package abi

// Topology is how the vCPUs of a domain make up cores and sockets, in the order of
// their numbers. CPUID tells the guest, and dom0's ACPI tables have the same APIC IDs.
type Topology struct {
	Cores   uint32 // of a socket; 0 = all vCPUs are single-threaded cores of one socket
	Threads uint32 // of a core
}

// For returns t for n vCPUs, without zeros. ok is false when they do not fill whole
// sockets.
func (t Topology) For(n uint32) (full Topology, ok bool) {
	if t == (Topology{}) {
		return Topology{n, 1}, true
	}
	ok = t.Cores != 0 && t.Threads != 0 && t.Cores <= n && t.Threads <= n && n%(t.Cores*t.Threads) == 0
	return t, ok
}

// Shifts returns how many low bits of an APIC ID number the threads of a core, and the
// threads and cores of a socket (SDM Vol. 3, "Hierarchical Mapping of Shared Resources").
//
// Preconditions: t is full, see For.
func (t Topology) Shifts() (core, socket uint32) {
	for 1<<core < t.Threads {
		core++
	}
	socket = core
	for 1<<(socket-core) < t.Cores {
		socket++
	}
	return core, socket
}

// APICID returns the APIC ID of vCPU n. Unless sizes are powers of two the IDs have
// holes, as on real machines. With [MaxVCPUs] the largest is below 128.
//
// Preconditions: t is full, see For.
func (t Topology) APICID(n uint32) uint32 {
	core, socket := t.Shifts()
	thread, n := n%t.Threads, n/t.Threads
	return n/t.Cores<<socket | n%t.Cores<<core | thread
}
