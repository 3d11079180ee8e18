// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package acpi

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// spcr is a table as servers with a serial port over LAN have it: COM2 by the
// 8259s' interrupt 3, 115200 baud. change alters bytes.
func spcr(change map[int]byte) []byte {
	b := make([]byte, 80)
	copy(b[40:], []byte{SpaceIO, 8, 0, 1, 0xf8, 0x02})
	b[52], b[53], b[54], b[58], b[60], b[62] = 3, 3, 3, 7, 1, 2
	for at, v := range change {
		b[at] = v
	}
	return b
}

func TestSPCR(t *testing.T) {
	com2 := Register{SpaceIO, 8, 0, 1, 0x2f8}
	for _, c := range []struct {
		name string
		b    []byte
		want *Serial
		warn int
	}{
		{"COM2", spcr(nil), &Serial{"SPCR", com2, 3, 115200}, 0},
		{"global interrupt", spcr(map[int]byte{52: 2, 53: 0, 54: 4}), &Serial{"SPCR", com2, 4, 115200}, 0},
		{"high global interrupt", spcr(map[int]byte{52: 2, 53: 0, 54: 20}), &Serial{"SPCR", com2, 0, 115200}, 0},
		{"no interrupt, rate as it is", spcr(map[int]byte{52: 0, 58: 0}), &Serial{"SPCR", com2, 0, 0}, 0},
		{"rate unknown", spcr(map[int]byte{58: 5}), &Serial{"SPCR", com2, 3, 0}, 0},
		{"rate far off", spcr(map[int]byte{58: 200}), &Serial{"SPCR", com2, 3, 0}, 0},
		{"memory", spcr(map[int]byte{36: 0x12, 40: SpaceMemory}), &Serial{"SPCR", Register{SpaceMemory, 8, 0, 1, 0x2f8}, 3, 115200}, 0},
		{"PL011", spcr(map[int]byte{36: 3}), nil, 1},
		{"off", spcr(map[int]byte{44: 0, 45: 0}), nil, 0},
		{"short", make([]byte, 79), nil, 1},
	} {
		var tables Tables
		got := tables.parseSPCR(c.b)
		if d := cmp.Diff(c.want, got); d != "" || len(tables.Warnings) != c.warn {
			t.Errorf("%s: %q %s", c.name, tables.Warnings, d)
		}
	}
}

// dbg2 has a USB port, then a serial one at COM1.
func dbg2(change map[int]byte) []byte {
	b := make([]byte, 44+2*40)
	b[36], b[40] = 44, 2
	for i, kind := range []byte{0x02, 0x00} {
		e := b[44+40*i:]
		e[1], e[3], e[18], e[20] = 40, 1, 22, 34
		e[12], e[13] = kind, 0x80
		copy(e[22:], []byte{SpaceIO, 8, 0, 1, 0xf8, 0x03})
	}
	for at, v := range change {
		b[at] = v
	}
	return b
}

func TestDBG2(t *testing.T) {
	com1 := &Serial{Table: "DBG2", Base: Register{SpaceIO, 8, 0, 1, 0x3f8}}
	for _, c := range []struct {
		name string
		b    []byte
		want *Serial
		warn int
	}{
		{"second port", dbg2(nil), com1, 0},
		{"one port", dbg2(map[int]byte{40: 1}), nil, 0},
		{"more ports than there are", dbg2(map[int]byte{40: 9, 98: 9}), nil, 1},
		{"size 0", dbg2(map[int]byte{45: 0}), nil, 1},
		{"no addresses", dbg2(map[int]byte{87: 0}), nil, 0},
		{"address outside", dbg2(map[int]byte{102: 30}), nil, 1},
		{"far away", dbg2(map[int]byte{39: 0xff}), nil, 1},
		{"other kind", dbg2(map[int]byte{98: 3}), nil, 0},
		{"short", make([]byte, 43), nil, 1},
	} {
		var tables Tables
		got := tables.parseDBG2(c.b)
		if d := cmp.Diff(c.want, got); d != "" || len(tables.Warnings) != c.warn {
			t.Errorf("%s: %q %s", c.name, tables.Warnings, d)
		}
	}
}
