// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package screen

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// wall is a display that remembers.
type wall struct {
	cols, rows, draws int
	cells             []byte
	inverse           []bool
}

func newWall(cols, rows int) *wall {
	return &wall{cols: cols, rows: rows, cells: make([]byte, cols*rows), inverse: make([]bool, cols*rows)}
}

func (w *wall) Size() (int, int) { return w.cols, w.rows }

func (w *wall) Draw(x, y int, c byte, inverse bool) {
	w.draws++
	w.cells[y*w.cols+x], w.inverse[y*w.cols+x] = c, inverse
}

func (w *wall) text() (lines []string) {
	for y := range w.rows {
		lines = append(lines, strings.TrimRight(string(w.cells[y*w.cols:(y+1)*w.cols]), " "))
	}
	return lines
}

func TestWrite(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     []string
	}{
		{"lines", "one\r\ntwo\n", []string{"head", "one", "two", ""}},
		{"scrolls under the head", "1\n2\n3\n4\n5", []string{"head", "3", "4", "5"}},
		{"wraps", "abcdefghijkl", []string{"head", "abcdefghij", "kl", ""}},
		{"full line, then a new one", "abcdefghij\nk", []string{"head", "abcdefghij", "k", ""}},
		{"edits", "abc\b\bX\x1b[K", []string{"head", "aX", "", ""}},
		{"moves", "abc\x1b[2DX\x1b[CY", []string{"head", "aXcY", "", ""}},
		{"colours", "\x1b[1;31mred\x1b[0m", []string{"head", "red", "", ""}},
		{"clears", "a\nb\x1b[2J\x1b[Hc", []string{"head", "c", "", ""}},
		{"goes", "\x1b[2;3Hx\x1b[9;99Hy\x1b[99A\x1b[99Dz", []string{"head", "z", "  x", "         y"}},
		{"unfinished", "a\x1b[12", []string{"head", "a", "", ""}},
		{"other escapes", "\x1bcb\x07\x00é", []string{"head", "b\x7f\x7f", "", ""}},
		{"huge numbers", "\x1b[99999999999999999999Cx\x1b[;;;;;;Hy", []string{"head", "y        x", "", ""}},
	} {
		w, woken := newWall(10, 4), 0
		s := New(w, 1)
		s.Wake = func() { woken++ }
		s.Head(0, "head")
		s.Write([]byte(c.in))
		s.Paint()
		if d := cmp.Diff(c.want, w.text()); d != "" || woken != 2 {
			t.Errorf("%s: woken %d times %s", c.name, woken, d)
		}
	}
}

// Only what changed is drawn, and the cursor is where the next character comes.
func TestPaint(t *testing.T) {
	w := newWall(10, 4)
	s := New(w, 1)
	s.Wake = func() {}
	s.Paint()
	w.draws = 0
	s.Write([]byte("ab"))
	s.Paint()
	if w.draws != 3 || !w.inverse[12] || w.inverse[10] || !w.inverse[0] {
		t.Errorf("%d draws, inverse %v", w.draws, w.inverse)
	}
	b := []byte("some text\n")
	if n := testing.AllocsPerRun(100, func() { s.Write(b) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestFont(t *testing.T) {
	seen := map[[GlyphHeight]byte]byte{}
	for c := byte(' '); c <= 0x7f; c++ {
		g := Glyph(c)
		if other, ok := seen[g]; ok {
			t.Errorf("%q looks like %q", c, other)
		}
		seen[g] = c
		for y, row := range g {
			if row&0x83 != 0 || row != 0 && (y < 2 || y > 13) {
				t.Errorf("%q: row %d is %08b, which touches its neighbours", c, y, row)
			}
		}
	}
	var picture []string
	for _, row := range Glyph('F') {
		line := ""
		for x := range 5 {
			line += string(".#"[row>>(6-x)&1])
		}
		picture = append(picture, line)
	}
	f := []string{".....", ".....", "#####", "#....", "#....", "#....", "####.", "#....", "#....", "#....", "#....", ".....", ".....", ".....", ".....", "....."}
	if d := cmp.Diff(f, picture); d != "" {
		t.Error(d)
	}
}

func TestDisplays(t *testing.T) {
	v := VGA{make([]byte, VGABytes)}
	v.Draw(79, 24, 'x', false)
	v.Draw(0, 1, 'y', true)
	if string(v.Memory[VGABytes-2:]) != "x\x07" || string(v.Memory[160:162]) != "y\x70" {
		t.Error("VGA text")
	}
	f := Frame{make([]uint32, 20*33), 20, 17, 33}
	if c, r := f.Size(); c != 2 || r != 2 {
		t.Errorf("%d by %d", c, r)
	}
	for _, inverse := range []bool{false, true} {
		f.Draw(1, 1, 'F', inverse)
		for y, row := range Glyph('F') {
			for x := range GlyphWidth {
				on := row&(0x80>>x) != 0
				if got := f.Pixels[(16+y)*20+8+x] != 0; got != (on != inverse) {
					t.Fatalf("inverse %v: pixel %d, %d is %v", inverse, x, y, got)
				}
			}
		}
	}
	if f.Pixels[0] != 0 || f.Pixels[16*20+7] != 0 || f.Pixels[16*20+16] != 0 {
		t.Error("drew elsewhere")
	}
}

// Whatever is written, nothing runs over and the head stays.
func TestHostileWrite(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	const controls = "\x1b\x1b[[[;0129ABCDHJKm\n\r\b"
	for range 20_000 {
		b := make([]byte, r.IntN(80))
		for i := range b {
			if b[i] = byte(r.Uint32()); r.IntN(4) != 0 {
				b[i] = controls[r.IntN(len(controls))]
			}
		}
		w := newWall(10, 4)
		s := New(w, 1)
		s.Wake = func() {}
		s.Head(0, "head")
		s.Write(b)
		s.Paint()
		if w.text()[0] != "head" {
			t.Fatalf("%q wrote over the head", b)
		}
	}
}
