// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package vt stands between a terminal and a guest that nobody trusts: it knows
// control sequences (ECMA-48, "Control functions"), lets through what draws,
// takes out what asks, sets or hides, and recognizes what a terminal answers.
//
// What a hostile guest can do to the terminal here:
//
//	ask it something (ENQ, DA, DSR, DECRQSS, OSC 10 ...)  -> dropped: it types nothing
//	set a mode, charset, title, clipboard, palette        -> dropped
//	print to the local printer, wipe what scrolled away   -> dropped
//	begin a sequence and never end it                     -> dropped: only whole ones pass
//	begin a string and never end it                       -> its lines after the first are shown
//	hide text (bidirectional overrides, C1 as UTF-8)      -> dropped
//	draw anything anywhere, also what looks like a prompt -> passes, until the console is left
//
// The terminal is taken to read UTF-8.
package vt

// Kind is what a byte makes of what a [Scanner] has seen.
type Kind uint8

// Kinds.
const (
	Plain    Kind = iota // the byte stands for itself; a sequence before it was dropped
	Partial              // the byte belongs to a sequence or string that goes on
	Sequence             // the byte ends a control or escape sequence
	Dropped              // the byte ends something that is too long or given up
)

// Control characters (ECMA-48, "Elements of the C0 set").
const (
	BEL = 0x07
	CAN = 0x18
	SUB = 0x1a
	ESC = 0x1b
)

// maxSequence is the length of the longest sequence that is looked at, without
// ESC: no useful one comes near.
const maxSequence = 48

type state uint8

const (
	ground state = iota
	escape       // after ESC
	nF           // after ESC and intermediate bytes
	csi          // after ESC [, and ESC O with which keys begin
	str          // in a string: OSC, DCS, APC, PM, SOS
)

// Scanner cuts a stream into control sequences and the rest. The zero value is
// ready. It knows introducers of 7 bits only: those of 8 bits are no UTF-8.
type Scanner struct {
	state state
	n     int // bytes of buf, or maxSequence+1
	buf   [maxSequence]byte
}

// InString says that a string has begun and not ended.
func (s *Scanner) InString() bool { return s.state == str }

// Idle says that no sequence has begun.
func (s *Scanner) Idle() bool { return s.state == ground }

// Reset forgets what has begun.
func (s *Scanner) Reset() { s.state, s.n = ground, 0 }

// Bytes is the sequence that ended, without ESC. It is valid until the next Byte.
func (s *Scanner) Bytes() []byte { return s.buf[:min(s.n, maxSequence)] }

// Byte takes the next byte of the stream.
func (s *Scanner) Byte(b byte) Kind {
	switch {
	case b == ESC:
		s.state, s.n = escape, 0
		return Partial
	case s.state == ground:
		return Plain
	case b == CAN || b == SUB || b == BEL && s.state == str:
		s.Reset()
		return Dropped
	case s.state == str:
		return Partial
	case b < 0x20 || b >= 0x7f:
		s.Reset()
		return Plain
	}
	return s.more(b)
}

// more takes a byte of a sequence, 0x20 to 0x7e.
func (s *Scanner) more(b byte) Kind {
	if s.n < maxSequence {
		s.buf[s.n] = b
	}
	s.n = min(s.n+1, maxSequence+1)
	switch s.state {
	case escape:
		switch b {
		case '[', 'O':
			s.state = csi
			return Partial
		case ']', 'P', 'X', '^', '_':
			s.state = str
			return Partial
		}
		fallthrough
	case nF:
		if b < 0x30 {
			s.state = nF
			return Partial
		}
	case csi:
		if b < 0x40 {
			return Partial
		}
	}
	s.state = ground
	if s.n > maxSequence {
		return Dropped
	}
	return Sequence
}
