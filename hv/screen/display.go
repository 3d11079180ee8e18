// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package screen

// VGA is text mode 3: 80 by 25 cells of a character and its colours, from
// 0xb8000 on.
type VGA struct{ Memory []byte }

// What text mode 3 has, in bytes and cells.
const (
	VGABytes   = 2 * vgaColumns * vgaRows
	vgaColumns = 80
	vgaRows    = 25
	light      = 0x07 // on black
	dark       = 0x70 // on light
)

// Size is 80 by 25.
func (v VGA) Size() (columns, rows int) { return vgaColumns, vgaRows }

// Draw sets a cell.
func (v VGA) Draw(column, row int, c byte, inverse bool) {
	colours := byte(light)
	if inverse {
		colours = dark
	}
	at := 2 * (row*vgaColumns + column)
	v.Memory[at], v.Memory[at+1] = c, colours
}

// Frame is a frame buffer of 32 bits a pixel, whatever their order: all is grey.
type Frame struct {
	Pixels        []uint32
	Pitch         int // pixels from one line to the next
	Width, Height int
}

const grey = 0xc0c0c0

// Size is as many characters as there is room for.
func (f Frame) Size() (columns, rows int) { return f.Width / GlyphWidth, f.Height / GlyphHeight }

// Draw draws a character.
func (f Frame) Draw(column, row int, c byte, inverse bool) {
	g := Glyph(c)
	for y, bits := range g {
		if inverse {
			bits = ^bits
		}
		at := (row*GlyphHeight+y)*f.Pitch + column*GlyphWidth
		p := f.Pixels[at : at+GlyphWidth]
		for x := range p {
			p[x] = 0
			if bits&(0x80>>x) != 0 {
				p[x] = grey
			}
		}
	}
}
