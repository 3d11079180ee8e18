// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package serial

// Registers, as offsets from the base (PC16550D data sheet, "Summary of
// Registers"). The first two are the divisor latch while LCR.DLAB is set.
const (
	regData = 0 // RBR, THR, DLL
	regIER  = 1 // IER, DLM
	regIIR  = 2 // IIR, FCR
	regLCR  = 3
	regMCR  = 4
	regLSR  = 5
	regMSR  = 6
	regSCR  = 7
)

// Interrupt enable, interrupt identification and FIFO control.
const (
	ierReceive  = 0x01
	ierTransmit = 0x02
	ierError    = 0x04
	ierModem    = 0x08
	ierMask     = 0x0f

	iirModem    = 0x00
	iirNone     = 0x01
	iirTransmit = 0x02
	iirReceive  = 0x04
	iirError    = 0x06
	iirTimeout  = 0x0c // bytes below the trigger level wait
	iirFIFO     = 0xc0

	fcrEnable  = 0x01
	fcrClearRx = 0x02
	fcrKeep    = 0xc9 // enable, DMA mode and trigger level
)

// Line control, modem control, line status and modem status.
const (
	lcrDLAB = 0x80

	mcrDTR  = 0x01
	mcrRTS  = 0x02
	mcrOut1 = 0x04
	mcrOut2 = 0x08
	mcrLoop = 0x10
	mcrMask = 0x1f

	lsrReady   = 0x01
	lsrOverrun = 0x02
	lsrBreak   = 0x10
	lsrErrors  = 0x1e
	lsrEmpty   = 0x60 // THR and transmitter

	msrDeltaMask = 0x0f
	msrTERI      = 0x04 // trailing edge of RI
	msrCTS       = 0x10
	msrDSR       = 0x20
	msrRI        = 0x40
	msrDCD       = 0x80
)

// trigger is the receiver FIFO's interrupt level by FCR bits 7:6.
var trigger = [4]int{1, 4, 8, 14}

// effective has a bit for each register that reading changes something of.
const effective = 1<<regData | 1<<regIIR | 1<<regLSR | 1<<regMSR

func (u *UART) read(off uint64) byte {
	switch off {
	case regData:
		if u.lcr&lcrDLAB != 0 {
			return u.dll
		}
		if u.fifo.n == 0 {
			return 0
		}
		return u.fifo.pop()
	case regIER:
		if u.lcr&lcrDLAB != 0 {
			return u.dlm
		}
		return u.ier
	case regIIR:
		c := u.cause()
		if c == iirTransmit {
			u.thri = false // reading the report is one of the two acknowledgements
		}
		if u.fcr&fcrEnable != 0 {
			c |= iirFIFO
		}
		return c
	case regLCR:
		return u.lcr
	case regMCR:
		return u.mcr
	case regLSR:
		v := u.lsr()
		u.err = 0
		return v
	case regMSR:
		v := u.modem() | u.delta
		u.delta = 0
		return v
	case regSCR:
		return u.scr
	}
	return 0xff
}

// lsr is the line status register.
func (u *UART) lsr() byte {
	v := u.err | lsrEmpty
	if u.fifo.n > 0 {
		v |= lsrReady
	}
	return v
}

func (u *UART) write(off uint64, v byte) {
	switch off {
	case regData:
		if u.lcr&lcrDLAB != 0 {
			u.dll = v
			return
		}
		u.transmit(v)
	case regIER:
		if u.lcr&lcrDLAB != 0 {
			u.dlm = v
			return
		}
		v &= ierMask
		// Enabling the interrupt while the transmitter is empty reports it anew:
		// drivers start transmission, and probe for broken UARTs, with that.
		if v&^u.ier&ierTransmit != 0 {
			u.thri = true
		}
		u.ier = v
	case regIIR:
		if (v^u.fcr)&fcrEnable != 0 || v&(fcrEnable|fcrClearRx) == fcrEnable|fcrClearRx {
			u.fifo.head, u.fifo.n = 0, 0
		}
		if v&fcrEnable == 0 {
			v = 0 // the other bits are not programmed without it
		}
		u.fcr = v & fcrKeep
	case regLCR:
		u.lcr = v
	case regMCR:
		old := u.modem()
		u.mcr, u.set = v&mcrMask, true
		if v&mcrLoop == 0 && v&(mcrRTS|mcrDTR) != 0 {
			u.flow = true
		}
		u.change(old, u.modem())
	case regSCR:
		u.scr = v
	}
	// LSR and MSR are read only (writing them is for factory tests).
}

// transmit sends a byte; the transmitter is empty again at once.
func (u *UART) transmit(b byte) {
	u.thri = true
	if u.mcr&mcrLoop == 0 {
		u.sink.Put(b)
		return
	}
	if u.fifo.n == u.depth() {
		u.err |= lsrOverrun
		if u.depth() > 1 {
			return // a full FIFO stays as it is; only the shift register is lost
		}
		u.fifo.pop()
	}
	u.fifo.push(b)
}

// cause is the pending enabled interrupt of highest priority as IIR reports it
// (PC16550D data sheet, "Interrupt Control Functions").
func (u *UART) cause() byte {
	switch {
	case u.ier&ierError != 0 && u.err&lsrErrors != 0:
		return iirError
	case u.ier&ierReceive != 0 && u.fifo.n > 0:
		// The character timeout has always passed: no byte is on its way.
		if u.fcr&fcrEnable != 0 && u.fifo.n < trigger[u.fcr>>6] {
			return iirTimeout
		}
		return iirReceive
	case u.ier&ierTransmit != 0 && u.thri:
		return iirTransmit
	case u.ier&ierModem != 0 && u.delta != 0:
		return iirModem
	}
	return iirNone
}

// modem is the upper half of MSR: the modem control outputs in loopback, a
// connected peer otherwise.
func (u *UART) modem() byte {
	if u.mcr&mcrLoop == 0 {
		return msrCTS | msrDSR | msrDCD
	}
	var v byte
	if u.mcr&mcrRTS != 0 {
		v |= msrCTS
	}
	if u.mcr&mcrDTR != 0 {
		v |= msrDSR
	}
	if u.mcr&mcrOut1 != 0 {
		v |= msrRI
	}
	if u.mcr&mcrOut2 != 0 {
		v |= msrDCD
	}
	return v
}

// change records which modem inputs changed; of RI only the trailing edge counts.
func (u *UART) change(old, now byte) {
	d := (old ^ now) >> 4 & msrDeltaMask
	if now&msrRI != 0 {
		d &^= msrTERI
	}
	u.delta |= d
}
