// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package screen

// Size of a character in pixels.
const (
	GlyphWidth  = 8
	GlyphHeight = 16
)

// strokes draws the characters from ' ' on, drawn for Ringo: words are lines
// through points, each a column from 0 to 4 and a row from 0 (top) over 8 (base
// line) to b; a single point is a dot.
var strokes = [95]string{
	"", "2025 28", "1012 3032", "1018 3038 0343 0545", "41311102031434454637 1706 2028", "4008 0010110100 3747483837", "4803011021220507182845", "2022",
	"30121638", "10323618", "2226 0345 4305", "2226 0444", "272819", "0444", "2728", "4008",
	"103041473818070110 4107", "022028 0848", "0110304143080848", "01103041433414 344547381807", "38300646", "4000033344473818 07", "41301001071838474534 3404", "004018",
	"103041433414030110 14050718384745 4534", "4414030110304147381807", "2324 2728", "2324 272819", "410447", "0343 0545", "014407", "0110304142242528",
	"48180701103041452523 43", "0802204248 0545", "00083847453404 3443413000", "4130100107183847", "00082846422000", "40000848 0434", "400008 0434", "413010010718384745 4525",
	"0008 4048 0444", "1030 2028 1838", "2040 3037281807", "0008 400448", "000848", "0800244048", "08004840", "103041473818070110",
	"08003041433404", "103041473818070110 2648", "08003041433404 2448", "41301001031434454738 3818 1807", "0040 2028", "000718384740", "002840", "0018243840",
	"0048 4008", "002440 2428", "00400848", "30101838", "0048", "10303818", "022042", "0949",
	"1021", "13334448 451506071838", "0008 0413334447381807", "44331304071838 3847", "4048 4433130407183847", "064644331304071838 3847", "40302128 0343", "434a3b1b0a 4433130407183847",
	"0008 0413334448", "132328 1838 20", "23333a2b1b 30", "0008 430648", "10202738", "0308 04132428 24334448", "0308 0413334448", "133344473818070413",
	"030b 0413334447381807", "434b 4433130407183847", "0308 04133344", "443313041535464738 1807", "20273847 0343", "0307183847 4348", "032843", "0318253843",
	"0348 4308", "0307183847 434a3b1b0a", "03430848", "302123142527 2738", "2029", "102123342527 2718", "05143544",
}

// glyphs are the characters' rows, the leftmost pixel in bit 7.
var glyphs = rasterize()

// Glyph returns the pixels of a character; those that there are none of look
// like a box.
func Glyph(c byte) [GlyphHeight]byte {
	if c < ' ' || int(c-' ') >= len(strokes) {
		return [GlyphHeight]byte{2: 0x7c, 10: 0x7c, 3: 0x44, 4: 0x44, 5: 0x44, 6: 0x44, 7: 0x44, 8: 0x44, 9: 0x44}
	}
	return glyphs[c-' ']
}

func rasterize() (all [len(strokes)][GlyphHeight]byte) {
	for n, s := range strokes {
		g := &all[n]
		for at := 0; at+1 < len(s); at += 2 {
			if s[at] == ' ' {
				at-- // the next word begins one on
				continue
			}
			x, y := int(hexDigit(s[at])), int(hexDigit(s[at+1]))
			if at+3 < len(s) && s[at+2] != ' ' {
				line(g, x, y, int(hexDigit(s[at+2])), int(hexDigit(s[at+3])))
			} else {
				line(g, x, y, x, y)
			}
		}
	}
	return all
}

func hexDigit(c byte) byte {
	if c >= 'a' {
		return c - 'a' + 10
	}
	return c - '0'
}

// line sets the pixels between two points, ends included.
func line(g *[GlyphHeight]byte, x0, y0, x1, y1 int) {
	n := max(x1-x0, x0-x1, y1-y0, y0-y1, 1)
	for i := range n + 1 {
		x := (x0*(n-i)*2 + x1*i*2 + n) / (2 * n)
		y := (y0*(n-i)*2 + y1*i*2 + n) / (2 * n)
		g[y+2] |= 0x40 >> x
	}
}
