// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package policy

// Counter is a vCPU's view of time: guest TSC = host TSC + Offset. IA32_TSC_ADJUST
// and writes to the TSC move both in step (SDM Vol. 3, "IA32_TSC_ADJUST
// Register and TSC Support"). After a write hv passes Offset to the backend
// (x86.TSCOffset), to vlapic.LAPIC.SetTSCOffset and to the vCPU's pvclock record.
type Counter struct {
	Offset uint64
	Adjust uint64 // IA32_TSC_ADJUST
}

// Read is the guest's TSC when the host's is now.
func (t *Counter) Read(now uint64) uint64 { return now + t.Offset }

// Write is WRMSR to the TSC when the host's is now.
func (t *Counter) Write(val, now uint64) { t.WriteAdjust(t.Adjust + val - t.Read(now)) }

// WriteAdjust is WRMSR to IA32_TSC_ADJUST.
func (t *Counter) WriteAdjust(val uint64) {
	t.Offset += val - t.Adjust
	t.Adjust = val
}

// SteadyTSC reports whether the time-stamp counter of a CPU says that it counts at one
// rate whatever the CPU does: guests are told so (APM Vol. 3, "Function 8000_0007h"; SDM
// Vol. 3, "Invariant TSC"). Below another hypervisor it is that one's affair.
func SteadyTSC(host func(leaf, sub uint32) Result) bool {
	if host(1, 0).ECX&c1Hypervisor != 0 {
		return true
	}
	return host(extBase, 0).EAX >= extBase+7 && host(extBase+7, 0).EDX&d7InvariantT != 0
}
