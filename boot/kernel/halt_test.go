// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import "testing"

func TestHalts(t *testing.T) {
	var w uint64
	look := func(now, want uint64) {
		t.Helper()
		if got := asleep(w, now); got != want {
			t.Errorf("at %d: asleep for %d, want %d", now, got, want)
		}
	}
	const start = 1 << 60
	look(start, 0)
	fallAsleep(&w, start+100)
	look(start+99, 0) // another CPU's time
	look(start+100, 0)
	look(start+130, 30)
	wakeUp(&w, start+150)
	look(start+151, 50)
	look(start+1000, 50)
	fallAsleep(&w, start+1000)
	look(start+999, 49)
	wakeUp(&w, start+1001)
	look(start+5000, 51)
}
