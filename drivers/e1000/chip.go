// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package e1000

import (
	"time"

	"ringo/drivers/nic"
)

// Times that the controller may take.
const (
	masterTime = 100 * time.Millisecond
	resetPause = 10 * time.Millisecond
	resetTime  = time.Second
	eepromTime = 100 * time.Millisecond
)

// Halt implements card.Hardware: a reset, before which the device has ended what it does
// with memory ("Device Disable", "Resets").
func (d *chip) Halt() error {
	r := d.Regs
	if r.Read32(regSTATUS) == ^uint32(0) {
		return errGone
	}
	r.Write32(regIMC, ^uint32(0))
	r.Write32(regRCTL, 0)
	r.Write32(regTCTL, tctlPad)
	if d.Model == I82574L {
		r.Write32(regCTRL, r.Read32(regCTRL)|ctrlMasterDisable)
		// One that does not end in time is reset all the same.
		await(masterTime, func() bool { return r.Read32(regSTATUS)&statusMaster == 0 })
	} else {
		time.Sleep(resetPause) // what was under way comes to an end
	}
	r.Write32(regCTRL, r.Read32(regCTRL)|ctrlReset)
	time.Sleep(resetPause)
	if !await(resetTime, func() bool { return r.Read32(regCTRL)&ctrlReset == 0 }) {
		if r.Read32(regSTATUS) == ^uint32(0) {
			return errGone
		}
		return errReset
	}
	r.Write32(regIMC, ^uint32(0))
	r.Read32(regICR)
	return nil
}

// await asks every millisecond, until f is true or the time is over.
func await(most time.Duration, f func() bool) bool {
	for end := time.Now().Add(most); ; time.Sleep(time.Millisecond) {
		if f() {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}

// address learns the device's address: from the register that a reset fills, or from the
// EEPROM.
func (d *chip) address() error {
	low, high := d.Regs.Read32(regRAL), d.Regs.Read32(regRAH)
	d.mac = macOf(low, high)
	if high&rahValid != 0 && d.mac.Valid() {
		return nil
	}
	var words [3]uint16
	for i := range words {
		v, ok := d.eeprom(uint32(i))
		if !ok {
			return errMAC
		}
		words[i] = v
	}
	if d.mac = macOf(uint32(words[0])|uint32(words[1])<<16, uint32(words[2])); !d.mac.Valid() {
		return errMAC
	}
	return nil
}

func macOf(low, high uint32) nic.MAC {
	return nic.MAC{byte(low), byte(low >> 8), byte(low >> 16), byte(low >> 24), byte(high), byte(high >> 8)}
}

// eeprom reads a word ("EEPROM Read Register", whose bits are elsewhere on each model).
func (d *chip) eeprom(word uint32) (v uint16, ok bool) {
	shift, done := 8, uint32(1<<4)
	if d.Model == I82574L {
		shift, done = 2, 1<<1
	}
	d.Regs.Write32(regEERD, word<<shift|1)
	var got uint32
	ok = await(eepromTime, func() bool {
		got = d.Regs.Read32(regEERD)
		return got&done != 0
	})
	return uint16(got >> 16), ok && got != ^uint32(0)
}

// Start implements card.Hardware.
func (d *chip) Start() error {
	r := d.Regs
	r.Write32(regCTRL, r.Read32(regCTRL)&^ctrlMasterDisable|ctrlSLU|ctrlASDE)
	r.Write32(regRAL, uint32(d.mac[0])|uint32(d.mac[1])<<8|uint32(d.mac[2])<<16|uint32(d.mac[3])<<24)
	r.Write32(regRAH, uint32(d.mac[4])|uint32(d.mac[5])<<8|rahValid)
	d.enabled = icrRxTimer | icrRxLow | icrRxOverrun | icrLink
	if d.Model == I82574L {
		r.Write32(regRFCTL, 0)   // descriptors in the legacy form
		r.Write32(regCTRLExt, 0) // what is read of ICR is cleared, as nothing is enabled then
		if d.Messages {
			// All causes are message 0: receive, transmit, other.
			r.Write32(regIVAR, 8|8<<8|8<<16)
			r.Write32(regEIAC, 0)
			d.enabled |= icrRxQueue0 | icrOther
		}
	}
	// At most some 20,000 interrupts a second, in units of 256 ns.
	r.Write32(regITR, 195)
	d.startReceive()
	d.startSend()
	r.Write32(regIMS, d.enabled)
	return nil
}

// Sleep implements card.Hardware.
func (d *chip) Sleep(room bool) bool {
	on := d.enabled
	if room {
		on |= icrTxWritten
		if d.Messages {
			on |= icrTxQueue0
		}
	}
	d.Regs.Write32(regIMS, on)
	return !d.rx.ready()
}

// Link implements card.Hardware.
func (d *chip) Link() nic.Link {
	s := d.Regs.Read32(regSTATUS)
	if s == ^uint32(0) || s&statusLink == 0 {
		return nic.Link{}
	}
	speeds := [...]int{10, 100, 1000, 1000}
	return nic.Link{Up: true, Mbps: speeds[s>>6&3], Full: s&statusFull != 0}
}

// Check implements card.Hardware.
func (d *chip) Check(bool) string {
	if d.rx.wrong != "" {
		return d.rx.wrong
	}
	return d.tx.wrong
}
