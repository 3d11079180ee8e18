// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"testing"
	"time"

	"ringo/tools/emu"
)

// TestShare runs a guest that only computes beside one that computes for 2 ms and
// then reads a port which dom0 serves, for good, on one CPU: both get the same of
// it. It counts instructions, so that the host's load does not matter.
func TestShare(t *testing.T) {
	t.Parallel()
	h := bootMicro(t, emu.Config{SMP: 1, MemMiB: 512, ICount: true})
	h.ok(micro("victim", "spin"))
	h.ok(micro("foe", "poll"))
	const enough = 2 // seconds of the emulated CPU's time
	began, first := time.Now(), h.list()
	for {
		time.Sleep(time.Second) // not all the time for listing
		now := h.list()
		victim, foe := now["victim"].seconds-first["victim"].seconds, now["foe"].seconds-first["foe"].seconds
		if victim+foe >= enough {
			if part := victim / (victim + foe); part < .45 || part > .55 {
				t.Errorf("the one that only computes had %.1f s, the other one %.1f s", victim, foe)
			}
			break
		}
		if time.Since(began) > guestTime {
			t.Fatalf("%.1f s and %.1f s of CPU in %v", victim, foe, guestTime)
		}
	}
	h.poweroff()
}
