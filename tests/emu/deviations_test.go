// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

// deviationRecord is a row of the conformance program that an emulator gets
// wrong, where neither a CPU as the manuals have it nor our backend would.
type deviationRecord struct {
	emulator, cpu, row string
	// fatal: the emulator does not come out of it, so the row is not run.
	// Otherwise the row must fail, or the record is out of date.
	fatal bool
	why   string // one line, for the table
}

// deviations are all of them. The evidence is the emulator's source at the named
// functions, and what the manual says instead.
var deviations = []deviationRecord{
	// AMD64 APM Vol. 2, "Virtualizing Interrupts": with V_IRQ set the guest takes
	// the virtual interrupt (here: the VINTR intercept) as soon as RFLAGS.IF is 1,
	// it is in no shadow, and the priority is above V_TPR. Bochs keeps V_IRQ as an
	// event with a mask bit. Svm_Vmexit (cpu/svm.cc) sets the mask; only
	// handleInterruptMaskChange (cpu/flag_ctrl_pro.cc) clears it, which setEFlags
	// calls when IF differs from the value before: the host's, 1 at VMRUN. A guest
	// that is entered with IF 1 has V_IRQ masked until it changes IF. The case
	// enters a guest right behind STI; it runs to HLT without the exit. "an
	// interrupt waits for its window", where IF is 0 at VMRUN, passes.
	{"Bochs", "ryzen", "an interrupt waits for the shadow of STI", false,
		"Bochs masks V_IRQ of a guest that is entered with IF set (Svm_Vmexit, setEFlags)"},

	// APM Vol. 2, "Virtualizing Interrupts": under V_INTR_MASKING the host's IF at
	// VMRUN, 1 here, decides about physical interrupts, not the guest's. In Bochs
	// VMRUN calls SvmEnterLoadCheckGuestState, and in it setEFlags, before it sets
	// in_svm_guest: a guest entered with IF 0 then looks like a host that cleared
	// IF, and handleInterruptMaskChange masks the local APIC's events. Nothing
	// ends the run of a guest that loops with interrupts off, and there is no
	// preemption timer on AMD processors. All three tests have such guests.
	{"Bochs", "ryzen", "preempt", true,
		"Bochs holds back host interrupts while a guest entered with IF clear leaves it clear (VMRUN)"},
	{"Bochs", "ryzen", "random", true,
		"Bochs holds back host interrupts while a guest entered with IF clear leaves it clear (VMRUN)"},
	{"Bochs", "ryzen", "nmi", true,
		"Bochs holds back host interrupts while a guest entered with IF clear leaves it clear (VMRUN)"},
}

// deviation finds what is on record for a row of b.
func deviation(b board, row string) (deviationRecord, bool) {
	for _, d := range deviations {
		if d.emulator == b.emulator && d.cpu == b.cpu && d.row == row {
			return d, true
		}
	}
	return deviationRecord{}, false
}
