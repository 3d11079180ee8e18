// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package rtc

import "time"

// AfterFunc is the bus.Timer of package time.
type AfterFunc struct {
	now func() int64
	t   *time.Timer
}

// NewAfterFunc returns a timer that calls tick, on its own goroutine, by the
// clock now (ns since 1970).
func NewAfterFunc(now func() int64, tick func()) *AfterFunc {
	t := time.AfterFunc(time.Hour, tick)
	t.Stop()
	return &AfterFunc{now, t}
}

// Set implements bus.Timer.
func (a *AfterFunc) Set(at int64) {
	if at == 0 {
		a.t.Stop()
		return
	}
	a.t.Reset(time.Duration(max(at-a.now(), 0)))
}
