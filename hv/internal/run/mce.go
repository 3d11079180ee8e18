// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package run

import (
	"ringo/boot/mce"
	"ringo/hv/internal/part"
	"ringo/mm"
)

// machineCheck handles a #MC that ended v's run. Whoever's memory has failed is
// ended, and v's domain, if it is the one that has used it: what it read is not
// what was written there.
func machineCheck(r *Runner, v *part.VCPU) action {
	rep := r.host.MachineCheck()
	for _, page := range rep.Pages[:rep.N] {
		r.m.LosePage(mm.HPA(page))
	}
	if rep.Verdict >= mce.Used {
		return crash(v, "machine check: it has used memory that has failed")
	}
	return look
}

// lost ends the guests whose memory has failed while the hypervisor ran.
func (r *Runner) lost() {
	for page, ok := r.host.LostPage(); ok; page, ok = r.host.LostPage() {
		r.m.LosePage(mm.HPA(page))
	}
}
