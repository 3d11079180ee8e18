// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vttest

import (
	"slices"
	"strconv"
	"strings"
)

// function runs a control sequence: parameters and intermediate bytes, and the
// last byte.
func (t *Terminal) function(p string, last byte) {
	private := ""
	if p != "" && strings.ContainsRune("?<=>", rune(p[0])) {
		private, p = p[:1], p[1:]
	}
	i := len(strings.TrimRight(p, " !\"#$%&'()*+,-./"))
	p, inter := p[:i], p[i:]
	switch private + inter + string(rune(last)) {
	case "h", "l", "?h", "?l":
		t.modes(private, p, last == 'h')
	case "m":
		t.Rendition = "0"
		if p != "" && p != "0" {
			t.Rendition = p
		}
	case "r":
		t.Region, t.Row = "", 0
		if p != "" {
			t.Region = p
		}
	case "A", "F":
		t.Row = max(t.Row-number(p), 0)
	case "B", "E", "e":
		t.Row = min(t.Row+number(p), Rows-1)
	case "H", "f", "d":
		head, _, _ := strings.Cut(p, ";")
		t.Row = min(number(head), Rows) - 1
	case "J":
		if strings.Contains(p, "3") {
			t.Wiped++
		}
	case "s":
		t.Saved = "cursor"
	case "u":
		t.Saved = ""
	case "g":
		t.TabsMoved = true
	case "?W":
		t.TabsMoved = p != "5"
	case "!p":
		t.soft()
	case " q":
		t.Cursor = strings.TrimLeft(p, "0")
	case "\"q":
		t.Protected = p == "1"
	case ">m", ">u", "=u", "<u":
		t.KeyCodes = ""
		if number(p) != 0 && private+string(rune(last)) != "<u" && !(last == 'm' && !strings.Contains(p, ";")) {
			t.KeyCodes = p
		}
	case "i", "?i":
		t.Printed += len(p) + 1
	default:
		t.question(private, p, inter, last)
	}
}

// number is the first parameter; none counts as 1.
func number(p string) int {
	if p == "" {
		return 1
	}
	n, _ := strconv.Atoi(p)
	return n
}

// question answers the sequences that ask.
func (t *Terminal) question(private, p, inter string, last byte) {
	switch private + inter + string(rune(last)) {
	case "c":
		t.answer("\x1b[?62;1;6c")
	case ">c":
		t.answer("\x1b[>1;10;0c")
	case "=c":
		t.answer("\x1bP!|00000000\x1b\\")
	case "n", "?n":
		if p == "5" {
			t.answer("\x1b[0n")
		} else {
			t.answer("\x1b[" + private + "12;40R")
		}
	case "x":
		t.answer("\x1b[2;1;1;128;128;1;0x")
	case "$p", "?$p":
		t.answer("\x1b[" + private + p + ";2$y")
	case ">q":
		t.answer("\x1bP>|vttest(1)\x1b\\")
	case "?u":
		t.answer("\x1b[?" + "1u")
	case "t":
		t.answer("\x1b]l" + t.Title + "\x1b\\\x1b[8;24;80t")
	case "*y", "$w":
		t.answer("\x1bP1!~0000\x1b\\")
	}
}

// known are the modes that this terminal has.
var known = strings.Fields(`2 4 12 20 ?1 ?5 ?6 ?7 ?9 ?25 ?45 ?47 ?66 ?69 ?1000 ?1001 ?1002 ?1003 ?1004 ?1005 ?1006
	?1007 ?1015 ?1016 ?1047 ?1049 ?2004 ?2026 ?2031 ?2048`)

// modes sets or resets modes. Some make the terminal type by itself.
func (t *Terminal) modes(private, p string, on bool) {
	for _, n := range strings.Split(p, ";") {
		m := private + n
		if !slices.Contains(known, m) {
			continue
		}
		switch m {
		case "?47", "?1047", "?1049":
			if m == "?1049" && !on {
				t.Saved = ""
			}
			t.TwoScreens = on
			continue
		case "?66":
			t.Keypad = on
			continue
		case "?6":
			t.Row = 0
		case "?69":
			if !on {
				t.Region = ""
			}
		case "?1004":
			if on {
				t.answer("\x1b[I")
			}
		case "?1000", "?1003":
			if on {
				t.answer("\x1b[M 1\r\x1b[<0;5;5M")
			}
		}
		if on == slices.Contains(powerOn, m) {
			delete(t.Modes, m)
		} else {
			t.Modes[m] = on
		}
	}
}

// soft is DECSTR.
func (t *Terminal) soft() {
	for _, m := range []string{"?25", "4", "?6", "2", "?1"} {
		delete(t.Modes, m)
	}
	t.Keypad, t.Region, t.Rendition, t.Saved, t.Shift = false, "", "0", "", 0
	t.Charsets = [4]string{"B", "B", "B", "B"}
	t.Protected = false
}
