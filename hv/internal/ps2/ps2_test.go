// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package ps2

import "testing"

// chip is an 8042 with a keyboard.
type chip struct {
	out     []uint8 // to be read
	mouse   bool    // those come from the second port
	command uint8
	next    uint8 // where a byte written to the data port goes
	enabled bool
	keys    bool
	absent  bool
	stuck   bool
}

func (c *chip) In(port uint16) uint8 {
	switch {
	case c.absent:
		return nobody
	case port == control:
		s := uint8(0)
		if len(c.out) > 0 {
			s = full
			if c.mouse {
				s |= mouse
			}
		}
		if c.stuck {
			s |= busy
		}
		return s
	case len(c.out) == 0:
		return 0
	}
	v := c.out[0]
	c.out = c.out[1:]
	return v
}

func (c *chip) Out(port uint16, v uint8) {
	switch {
	case port == control && v == readCommand:
		c.out = append(c.out, c.command)
	case port == control && v == enablePort:
		c.enabled = true
	case port == control:
		c.next = v
	case c.next == writeCommand:
		c.command, c.next = v, 0
	case v == enableKeys:
		c.keys = true
		c.out = append(c.out, 0xfa)
	}
}

func TestOpen(t *testing.T) {
	c := &chip{command: 0x33, out: []uint8{0x1e, 0x9e}} // interrupts on, port off, keys wait
	k, ok := Open(c)
	if !ok || c.command != 0x62 || !c.enabled || !c.keys {
		t.Errorf("%v %+v", ok, c)
	}
	var b [8]byte
	if n := k.Read(b[:]); n != 0 { // the acknowledgement is no key
		t.Errorf("%q", b[:n])
	}
	for _, c := range []*chip{{absent: true}, {stuck: true}} {
		if _, ok := Open(c); ok {
			t.Errorf("%+v: opened", c)
		}
	}
}

func TestRead(t *testing.T) {
	for _, c := range []struct {
		name  string
		codes string
		want  string
	}{
		{"letters", "\x26\xa6\x17\x97\x1f\x9f\x14\x94\x1c\x9c", "list\r"},
		{"shift", "\x2a\x1e\x9e\x03\x83\xaa\x1e", "A@a"},
		{"right shift", "\x36\x1e\xb6\x1e", "Aa"},
		{"control", "\x1d\x1e\x9e\x1b\x2b\x9d\x1e", "\x01\x1d\x1ca"},
		{"right control", "\xe0\x1d\x2e\xe0\x9d\x2e", "\x03c"},
		{"caps lock", "\x3a\xba\x1e\x02\x2a\x1e\xaa\x3a\xba\x1e", "A1aa"},
		{"arrows", "\xe0\x48\xe0\xc8\xe0\x4b\xe0\xcb", "\x1b[A\x1b[D"},
		{"arrows between false shifts", "\xe0\x2a\xe0\x4d\xe0\xcd\xe0\xaa\x1e", "\x1b[Ca"},
		{"delete, backspace", "\xe0\x53\x0e", "\x7f\x7f"},
		{"enter of the keypad", "\xe0\x1c", "\r"},
		{"unknown", "\x3b\x58\x7e\xff\xfa\xfe\x38\xb8", ""},
	} {
		chip := &chip{command: 0x65}
		k, _ := Open(chip)
		var b [64]byte
		k.Read(b[:])
		chip.out = []byte(c.codes)
		if n := k.Read(b[:]); string(b[:n]) != c.want {
			t.Errorf("%s: %q, want %q", c.name, b[:n], c.want)
		}
	}
}

// What a mouse sends is dropped; what there is no room for waits.
func TestReadBounds(t *testing.T) {
	c := &chip{}
	k, _ := Open(c)
	var b [4]byte
	k.Read(b[:])
	c.out, c.mouse = []byte{0x1e, 0x1f}, true
	if n := k.Read(b[:]); n != 0 || len(c.out) != 0 {
		t.Errorf("%d, %d wait", n, len(c.out))
	}
	c.out, c.mouse = []byte{0x1e, 0x1f, 0x20}, false
	if n := k.Read(b[:]); n != 2 || len(c.out) != 1 {
		t.Errorf("%q, %d wait", b[:n], len(c.out))
	}
	c.absent = true
	if n := k.Read(b[:]); n != 0 {
		t.Errorf("%q", b[:n])
	}
}
