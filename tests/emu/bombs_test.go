// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"ringo/tests/guests/micro/guest"
	"ringo/tools/emu"
)

// zeros are n bytes of 0.
func zeros(n int64) io.Reader { return io.LimitReader(zero{}, n) }

type zero struct{}

func (zero) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// zstdOf packs a kernel and n zeros with a window.
func zstdOf(t *testing.T, kernel []byte, n int64, window int) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := zstd.NewWriter(&out, zstd.WithWindowSize(window), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(struct{ io.Writer }{w}, io.MultiReader(bytes.NewReader(kernel), zeros(n))); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// xzOf packs them with a window of 128 MiB.
func xzOf(t *testing.T, kernel []byte, n int64) []byte {
	t.Helper()
	c := exec.Command("xz", "-c", "--check=crc32", "--lzma2=preset=0,dict=128MiB")
	c.Stdin = io.MultiReader(bytes.NewReader(kernel), zeros(n))
	out, err := c.Output()
	if err != nil {
		t.Fatal(err, ": apt-get install xz-utils")
	}
	return out
}

// bzImageOf puts a payload of size bytes, once unpacked, behind the setup header
// of a 64-bit Linux (Linux, Documentation/arch/x86/boot.rst).
func bzImageOf(payload []byte, size int) []byte {
	le := binary.LittleEndian
	b := make([]byte, 2*512)
	b[0x1f1] = 1
	copy(b[0x1fe:], "\x55\xaa\xeb\x6aHdrS\x0f\x02")
	le.PutUint32(b[0x22c:], 0x7fffffff)
	b[0x211], b[0x236] = 1, 1
	le.PutUint32(b[0x238:], 2047)
	le.PutUint32(b[0x24c:], uint32(len(payload)+4))
	return le.AppendUint32(append(b, payload...), uint32(size))
}

// TestBombs gives dom0 files that want more memory than it has. Each is refused
// with a line that says what to do, and dom0 and the guests go on; what fits is
// loaded, again and again: among it a kernel of the size of a distribution's with
// the window that distributions take.
func TestBombs(t *testing.T) {
	t.Parallel()
	kernel := guest.Build().ELF()
	const most = 62 << 20
	var keys strings.Builder // each of which a strict decoder quotes with its surroundings
	for i := range 8000 {
		fmt.Fprintf(&keys, "k%d=1,", i)
	}
	h := boot(t, emu.Config{MemMiB: 1024, Modules: modules(
		file(t, "micro.elf", string(kernel)),
		file(t, "window.zst", string(zstdOf(t, kernel, 200<<20, 128<<20))),
		file(t, "window.xz", string(xzOf(t, kernel, 200<<20))),
		file(t, "tail.zst", string(zstdOf(t, kernel, 200<<20, 8<<20))),
		file(t, "large.img", string(bzImageOf(zstdOf(t, kernel, 200<<20, 128<<20), len(kernel)+200<<20))),
		file(t, "liar.img", string(bzImageOf(zstdOf(t, kernel, 200<<20, 128<<20), len(kernel)))),
		file(t, "fits.img", string(bzImageOf(zstdOf(t, kernel, most, 128<<20), len(kernel)+most))),
		file(t, "keys.toml", "boot = {"+keys.String()+"b=1}"),
	)})
	h.ok(micro("good", "echo"))
	h.echoes("good")
	free := h.free()
	for range 2 {
		for _, c := range []struct{ name, want string }{
			{"window.zst", "unpacking takes 135168 KiB"},
			{"window.xz", "unpacking takes 131328 KiB"},
			{"large.img", "unpacking takes 135168 KiB"},
			{"tail.zst", "followed by more than 16 MiB"},
			{"liar.img", "is damaged"}, // its window is as small as its header says
		} {
			line := fmt.Sprintf("create name=bad kernel=boot:%s memory=64MiB", c.name)
			if strings.Contains(c.want, "KiB") {
				h.fails(line, c.name, "dom0's memory is not enough", c.want, "dom0_mem=")
			} else {
				h.fails(line, c.name, c.want)
			}
			if got := h.free(); got != free {
				t.Errorf("%s: free memory %d, %d before", c.name, got, free)
			}
		}
		h.fails("create keys.toml", "unknown key", "boot.k0")
		h.ok(`create name=fits kernel=boot:fits.img cmdline="mode=echo" memory=64MiB`)
		h.echoes("fits")
		h.ok("destroy fits")
		h.echoes("good")
	}
	t.Log(h.do("info"))
	h.poweroff()
}
