// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ringo/hv/screen"
	"ringo/tools/emu"
)

// vgaScreen is the text of a screen in text mode, from its memory.
func (h *host) vgaScreen() string {
	h.t.Helper()
	b := h.shot("pmemsave", map[string]any{"val": 0xb8000, "size": screen.VGABytes})
	var text strings.Builder
	for i := 0; i+1 < len(b); i += 2 {
		text.WriteByte(b[i])
		if i/2%80 == 79 {
			text.WriteByte('\n')
		}
	}
	return text.String()
}

// frameScreen is the text of a screen with pixels, read by the font.
func (h *host) frameScreen() string {
	h.t.Helper()
	b := h.shot("screendump", map[string]any{})
	var width, height, most int
	if n, err := fmt.Fscanf(bytes.NewReader(b), "P6\n%d %d\n%d\n", &width, &height, &most); n != 3 {
		h.t.Fatalf("no picture: %v", err)
	}
	known := map[[screen.GlyphHeight]byte]byte{}
	for c := byte(' '); c < 0x7f; c++ {
		g := screen.Glyph(c)
		known[g] = c
		for y := range g {
			g[y] = ^g[y]
		}
		known[g] = c
	}
	pixels := b[len(b)-3*width*height:]
	var text strings.Builder
	for y := 0; y+screen.GlyphHeight <= height; y += screen.GlyphHeight {
		for x := 0; x+screen.GlyphWidth <= width; x += screen.GlyphWidth {
			var g [screen.GlyphHeight]byte
			for n := range screen.GlyphHeight * screen.GlyphWidth {
				row, col := n/screen.GlyphWidth, n%screen.GlyphWidth
				if pixels[3*((y+row)*width+x+col)] != 0 {
					g[row] |= 0x80 >> col
				}
			}
			c, ok := known[g]
			if !ok {
				c = '?'
			}
			text.WriteByte(c)
		}
		text.WriteByte('\n')
	}
	return text.String()
}

// shot runs a command of QEMU's that writes a file, and returns that.
func (h *host) shot(command string, args map[string]any) []byte {
	h.t.Helper()
	name := filepath.Join(h.t.TempDir(), "shot")
	args["filename"] = name
	if _, err := h.Monitor.Do(command, args); err != nil {
		h.t.Fatal(err)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		h.t.Fatal(err)
	}
	return b
}

// shows waits until the screen shows all of want.
func (h *host) shows(read func() string, want ...string) {
	h.t.Helper()
	last := ""
	for end := time.Now().Add(bootTime); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		last = read()
		missing := false
		for _, w := range want {
			missing = missing || !strings.Contains(last, w)
		}
		if !missing {
			return
		}
	}
	h.t.Fatalf("the screen does not show %q:\n%s", want, last)
}

// types presses keys of the machine's own keyboard, by QEMU's names: five at most, since
// QEMU's keyboard holds 16 codes, and nobody may have taken any of them.
func (h *host) types(keys string) {
	h.t.Helper()
	for _, k := range strings.Fields(keys) {
		if _, err := h.Monitor.HMP("sendkey " + k + " 20"); err != nil {
			h.t.Fatal(err)
		}
		time.Sleep(40 * time.Millisecond) // it is down for 20
	}
}

// TestScreen uses a machine as somebody in front of it does: by screen and
// keyboard. It has a serial port, but not where a console would be.
func TestScreen(t *testing.T) {
	h := start(t, emu.Config{MemMiB: 512, COM: 4, HVArgs: "loglvl=info console=vga"})
	h.shows(h.vgaScreen, "Ringo ", " 2 CPUs ", "Ctrl-A three times", "started by qemu", "starting dom0", "ringo# ")
	h.types("l i s t ret")
	h.shows(h.vgaScreen, "ringo# list", "Domain-0")
	h.types("p o w e")
	h.shows(h.vgaScreen, "ringo# powe")
	h.types("r o f f")
	h.shows(h.vgaScreen, "ringo# poweroff")
	h.types("ret")
	if s, err := h.Wait(endTime); err != nil || s.End != emu.Poweroff {
		t.Errorf("%+v, %v", s, err)
	}
	h.Drain()
	if got := strings.TrimSpace(h.Transcript()); got != "" {
		t.Errorf("the serial port got %q", got)
	}
}
