// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package ps2 reads a keyboard at the PC's keyboard controller (8042), with the
// scan codes of set 1, to which the controller translates, and the keys of a US
// keyboard.
package ps2

// Ports is access to I/O ports.
type Ports interface {
	In(port uint16) uint8
	Out(port uint16, v uint8)
}

// The controller's ports, and bits of its status and command byte.
const (
	data    = 0x60
	control = 0x64

	full  = 1 << 0 // there is something to read
	busy  = 1 << 1 // what was written waits
	mouse = 1 << 5 // what there is to read comes from the second port

	interrupt = 1 << 0
	off       = 1 << 4
	translate = 1 << 6

	readCommand  = 0x20
	writeCommand = 0x60
	enablePort   = 0xae
	enableKeys   = 0xf4 // to the keyboard
	answers      = 0xee // the keyboard's answers, and errors, are from here on
	nobody       = 0xff

	patience = 10_000 // looks at the status: some 10 ms
)

// Keyboard is the keyboard and what is held down.
type Keyboard struct {
	p                          Ports
	shift, ctrl, caps, extends bool
}

// Open makes the controller translate, without interrupts. It reports false when
// there is none.
func Open(p Ports) (*Keyboard, bool) {
	k := &Keyboard{p: p}
	if p.In(control) == nobody || !k.write(control, readCommand) {
		return nil, false
	}
	command, ok := k.answer()
	if !ok {
		return nil, false
	}
	command = command&^(interrupt|off) | translate
	ok = k.write(control, writeCommand) && k.write(data, command) && k.write(control, enablePort) && k.write(data, enableKeys)
	return k, ok
}

func (k *Keyboard) write(port uint16, v uint8) bool {
	for range patience {
		if k.p.In(control)&busy == 0 {
			k.p.Out(port, v)
			return true
		}
	}
	return false
}

// answer is the controller's, behind keys that were typed before.
func (k *Keyboard) answer() (v uint8, ok bool) {
	for range patience {
		if k.p.In(control)&full != 0 {
			v, ok = k.p.In(data), true
		} else if ok {
			return v, true
		}
	}
	return 0, false
}

// Read puts what was typed since the last call into b, as a terminal sends it,
// and returns its length. b must have room for a few bytes.
func (k *Keyboard) Read(b []byte) (n int) {
	for n+3 <= len(b) {
		s := k.p.In(control)
		if s == nobody || s&full == 0 {
			break
		}
		if code := k.p.In(data); s&mouse == 0 {
			n += k.key(code, b[n:])
		}
	}
	return n
}

// Scan codes of set 1.
const (
	released  = 0x80
	extended  = 0xe0
	keyCtrl   = 0x1d
	keyLeft   = 0x2a
	keyRight  = 0x36
	keyCaps   = 0x3a
	keyDelete = 0x53
)

// What the keys are, by scan code, without and with Shift.
const (
	plain   = "\x00\x1b1234567890-=\x7f\tqwertyuiop[]\r\x00asdfghjkl;'`\x00\\zxcvbnm,./\x00*\x00 "
	shifted = "\x00\x1b!@#$%^&*()_+\x7f\tQWERTYUIOP{}\r\x00ASDFGHJKL:\"~\x00|ZXCVBNM<>?\x00*\x00 "
)

// cursor is the letter of a key behind the prefix 0xe0, by its scan code.
var cursor = map[uint8]byte{0x48: 'A', 0x50: 'B', 0x4d: 'C', 0x4b: 'D', 0x47: 'H', 0x4f: 'F'}

// key takes a scan code; at most 3 bytes go to b.
func (k *Keyboard) key(code uint8, b []byte) int {
	ext := k.extends
	k.extends = code == extended
	if code >= answers || code == extended {
		return 0
	}
	down := code&released == 0
	switch code &^ released {
	case keyCtrl:
		k.ctrl = down
	case keyLeft, keyRight:
		k.shift = down && !ext || k.shift && ext
	case keyCaps:
		k.caps = k.caps != down
	default:
		if down {
			return k.types(code, ext, b)
		}
	}
	return 0
}

func (k *Keyboard) types(code uint8, ext bool, b []byte) int {
	switch c := cursor[code]; {
	case ext && c != 0:
		return copy(b, []byte{0x1b, '[', c})
	case ext && code == keyDelete:
		b[0] = 0x7f
		return 1
	case int(code) >= len(plain):
		return 0
	}
	c := plain[code]
	letter := c >= 'a' && c <= 'z'
	if k.shift != (letter && k.caps) {
		c = shifted[code]
	}
	if k.ctrl && c >= '@' && c <= 0x7e {
		c &= 0x1f
	}
	if c == 0 {
		return 0
	}
	b[0] = c
	return 1
}
