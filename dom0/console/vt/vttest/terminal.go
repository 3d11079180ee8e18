// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package vttest is a terminal for tests: it keeps the state that control
// functions set, and answers what it is asked, by the state machine that
// terminals have in common (VT510 Reference Manual, "Control Functions"; XTerm
// Control Sequences). It is as careless as the worst of them: it sends back
// whatever text it was given as title or in a request.
package vttest

import (
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// State is what outlives the bytes that set it, but for the screen's content and
// the cursor's place.
type State struct {
	Modes      map[string]bool // "?25" and "4": those that are not as at power-on
	Charsets   [4]string
	Shift      int
	UTF8       bool
	Rendition  string // of SGR
	Region     string // scrolling region and margins
	KeyCodes   string // modifyOtherKeys and kitty's flags
	Cursor     string // its shape
	Saved      string // what DECRC brings back
	Palette    bool   // colours were changed
	Protected  bool
	TabsMoved  bool
	Parser     string // what has begun, "" for nothing
	Keypad     bool
	TwoScreens bool // the alternate one is shown
}

// Terminal is the terminal. Its zero value is not ready; see [New].
type Terminal struct {
	State
	Answers []byte // what it typed by itself
	Title   string
	Printed int // bytes sent to the printer
	Wiped   int // times that what scrolled away was wiped
	Row     int // of the cursor, 0 the first

	state parser
	seq   []byte
	text  []byte
	kind  byte // of the string
	part  []byte
}

type parser uint8

const (
	ground parser = iota
	esc
	csi
	str
	strEsc
)

// Rows is the height of the terminal.
const Rows = 24

// New returns a terminal as it is at power-on.
func New() *Terminal {
	t := &Terminal{}
	t.State = start()
	return t
}

func start() State {
	return State{
		Modes: map[string]bool{}, Charsets: [4]string{"B", "B", "B", "B"}, UTF8: true, Rendition: "0",
	}
}

// Start reports whether the state is that at power-on.
func (t *Terminal) Start() bool {
	a, b := t.State, start()
	return maps.Equal(a.Modes, b.Modes) && a.describe() == b.describe()
}

func (s State) describe() string {
	var b strings.Builder
	for _, v := range []bool{s.UTF8, s.Palette, s.Protected, s.TabsMoved, s.Keypad, s.TwoScreens, s.Shift != 0} {
		b.WriteByte("-+"[map[bool]int{true: 1}[v]])
	}
	return b.String() + strings.Join(append(s.Charsets[:], s.Rendition, s.Region, s.KeyCodes, s.Cursor, s.Saved, s.Parser), "|")
}

// powerOn are the modes that are set at power-on: ANSI's SRM, DECAWM, DECTCEM.
var powerOn = []string{"12", "?7", "?25"}

// Write takes bytes for the screen. It implements io.Writer.
func (t *Terminal) Write(p []byte) (int, error) {
	for _, b := range p {
		t.one(b)
	}
	t.Parser = [...]string{"", "escape", "control", "string", "string"}[t.state]
	if len(t.part) > 0 {
		t.Parser = "character"
	}
	return len(p), nil
}

func (t *Terminal) one(b byte) {
	switch {
	case t.state == str || t.state == strEsc:
		t.inString(b)
	case b == 0x18 || b == 0x1a:
		t.state, t.part = ground, nil
	case b == 0x1b:
		t.state, t.seq, t.part = esc, nil, nil
	case b < 0x20:
		t.control(b)
	case t.state == ground:
		t.character(b)
	case t.state == esc:
		t.escape(b)
	case b >= 0x40 && b < 0x7f:
		t.state = ground
		t.function(string(t.seq), b)
	default:
		t.seq = append(t.seq, b)
	}
}

// character takes a byte of UTF-8; controls of 8 bits work in that form too.
func (t *Terminal) character(b byte) {
	t.part = append(t.part, b)
	if t.UTF8 && !utf8.FullRune(t.part) {
		return
	}
	r, _ := utf8.DecodeRune(t.part)
	if !t.UTF8 {
		r = rune(b)
	}
	t.part = nil
	if r >= 0x80 && r < 0xa0 {
		t.state, t.seq = esc, nil
		t.escape(byte(r) - 0x40)
	}
}

func (t *Terminal) control(b byte) {
	switch b {
	case 5:
		t.answer("I am vttest\r")
	case '\n', 0x0b, 0x0c:
		t.Row = min(t.Row+1, Rows-1)
	case 0x0e, 0x0f:
		t.Shift = int(0x0f - b)
	}
}

func (t *Terminal) answer(s string) { t.Answers = append(t.Answers, s...) }

// escape takes what follows ESC.
func (t *Terminal) escape(b byte) {
	if b < 0x30 {
		t.seq = append(t.seq, b)
		return
	}
	t.state = ground
	if len(t.seq) > 0 {
		t.designate(string(t.seq), b)
		return
	}
	switch b {
	case '[':
		t.state = csi
	case ']', 'P', 'X', '^', '_':
		t.state, t.kind, t.text = str, b, nil
	case '7':
		t.Saved = "cursor"
	case '8':
		t.Saved = ""
	case '=', '>':
		t.Keypad = b == '='
	case 'H':
		t.TabsMoved = true
	case 'Z':
		t.answer("\x1b[?62;c")
	case 'n', 'o':
		t.Shift = int(b-'n') + 2
	case 'c':
		t.State = start()
	}
}

func (t *Terminal) designate(inter string, b byte) {
	if i := strings.Index("()*+", inter); i >= 0 && len(inter) == 1 {
		t.Charsets[i] = string(rune(b))
	}
	if inter == "%" {
		t.UTF8 = b == 'G'
	}
}

// inString takes a byte of OSC, DCS, APC, PM or SOS.
func (t *Terminal) inString(b byte) {
	switch {
	case t.state == strEsc && b == '\\', b == 7 && t.kind == ']':
		t.state = ground
		t.command(string(t.text))
	case t.state == strEsc:
		t.state = ground
		t.one(0x1b)
		t.one(b)
	case b == 0x1b:
		t.state = strEsc
	case b == 0x18 || b == 0x1a:
		t.state = ground
	default:
		t.text = append(t.text, b)
	}
}

// command runs a string.
func (t *Terminal) command(s string) {
	nr, arg, _ := strings.Cut(s, ";")
	switch {
	case t.kind == 'P':
		t.answer("\x1bP0$r" + s + "\x1b\\")
	case t.kind == '_':
		t.answer("\x1b_OK;" + s + "\x1b\\")
	case t.kind != ']':
	case nr == "0" || nr == "2":
		t.Title = arg
	case slices.Contains([]string{"104", "110", "111", "112"}, nr):
		t.Palette = false
	case strings.HasSuffix(arg, "?"):
		t.answer("\x1b]" + nr + ";" + arg + "rgb:0/0/0\x1b\\")
	case nr == "4" || nr == "10" || nr == "11" || nr == "12":
		t.Palette = true
	case nr == "52":
		t.answer("\x1b]52;c;" + arg + "\x07")
	}
}
