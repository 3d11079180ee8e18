// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package card

import (
	"fmt"
	"time"

	"ringo/drivers/nic"
)

// look asks whether the device is there, and whether it sends what it was given.
func (c *Card) look() {
	if !c.Present() {
		c.gone()
		return
	}
	c.refresh()
	c.mu.Lock()
	if why := c.hw.Check(true); why != "" {
		c.mu.Unlock()
		c.trouble(why)
		return
	}
	c.reap()
	hangs := c.pending > 0 && c.link.Up && time.Since(c.moved) > HangTime
	c.mu.Unlock()
	if hangs {
		c.trouble(fmt.Sprintf("it does not send what it was given, for %v", HangTime))
	}
}

// trouble resets the device, or gives it up.
func (c *Card) trouble(why string) {
	if c.Dead() != nil {
		return
	}
	if !c.Present() {
		c.gone()
		return
	}
	now := time.Now()
	for len(c.resets) > 0 && now.Sub(c.resets[0]) > resetWindow {
		c.resets = c.resets[1:]
	}
	if len(c.resets) == maxResets {
		c.Log(fmt.Sprintf("%s; it was reset %d times in %v: it is left alone", why, maxResets, resetWindow))
		c.end(fmt.Errorf("%s, again and again: %w", why, nic.ErrDevice))
		return
	}
	c.resets = append(c.resets, now)
	c.Log(why + ": resetting it")
	c.mu.Lock()
	err := c.hw.Halt()
	if err == nil {
		err = c.hw.Start()
	}
	c.pending, c.moved = 0, now
	c.counters.Resets++
	c.mu.Unlock()
	if err != nil {
		c.Log("it cannot be reset: " + err.Error())
		c.end(fmt.Errorf("it cannot be reset, %v: %w", err, nic.ErrDevice))
		return
	}
	c.Relink.Store(true)
	c.Wake()
}

// gone ends a device that was taken out.
func (c *Card) gone() {
	c.Log("it is gone")
	c.end(nic.ErrGone)
}

// end ends the device for good: it uses no memory from now on.
func (c *Card) end(err error) {
	c.mu.Lock()
	c.dead = err
	c.link = nic.Link{}
	c.halt()
	c.Stop()
	c.mu.Unlock()
	if c.handler.Changed != nil {
		c.handler.Changed()
	}
}
