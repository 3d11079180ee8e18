// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package domain

import "time"

// A domain may restart burst times, and once more for each period that it has not
// used: else a guest that resets again and again keeps dom0 busy loading kernels.
const (
	burst  = 5
	period = time.Minute
)

// bucket holds the restarts that a domain may still make; its zero value holds
// burst of them.
type bucket struct {
	used int       // of burst
	last time.Time // when one of the used ones was given back
}

// take takes a restart at time now and reports whether there was one.
func (b *bucket) take(now time.Time) bool {
	if n := now.Sub(b.last) / period; b.used > 0 && n > 0 {
		b.used = int(max(0, time.Duration(b.used)-n))
		b.last = b.last.Add(n * period)
	}
	if b.used == 0 {
		b.last = now
	}
	if b.used == burst {
		return false
	}
	b.used++
	return true
}
