// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"testing"

	"ringo/tools/emu"
)

// TestChurn creates and destroys a guest 50 times, some in the middle of their
// boot: all memory comes back.
func TestChurn(t *testing.T) {
	t.Parallel()
	h := boot(t, emu.Config{MemMiB: 1024})
	h.ok(linux("churn")) // what is made once and kept, is made now
	h.ok("destroy churn")
	free, hv := h.free(), h.info()["hypervisor_memory"]
	for i := range 50 {
		h.ok(linux("churn"))
		if i%10 == 9 {
			h.attach("churn")
			h.see(guestTime, "Linux version")
			h.detach()
		}
		h.ok("destroy churn")
		if got := h.free(); got != free {
			t.Fatalf("after %d rounds: free memory %d, %d before", i+1, got, free)
		}
	}
	t.Logf("hypervisor memory %s before, %s after", hv, h.info()["hypervisor_memory"])
	h.poweroff()
}
