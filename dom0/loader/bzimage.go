// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package loader

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"ringo/dom0/board"
)

// Offsets in the zero page and, equally, in the first sector of a bzImage
// (Linux, Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header").
const (
	hdrStart       = 0x1f1
	hdrSetupSects  = 0x1f1 // the header's first byte
	hdrSysSize     = 0x1f4
	hdrBootFlag    = 0x1fe
	hdrJump        = 0x201
	hdrMagic       = 0x202
	hdrVersion     = 0x206
	hdrLoaderType  = 0x210
	hdrLoadFlags   = 0x211
	hdrCode32      = 0x214
	hdrRamdisk     = 0x218
	hdrRamdiskSize = 0x21c
	hdrHeapEnd     = 0x224
	hdrCmdline     = 0x228
	hdrInitrdMax   = 0x22c
	hdrAlignment   = 0x230
	hdrRelocatable = 0x234
	hdrXLoadFlags  = 0x236
	hdrCmdlineSize = 0x238
	hdrPayload     = 0x248
	hdrPayloadLen  = 0x24c
	hdrSetupData   = 0x250
	hdrPreferred   = 0x258
	hdrInitSize    = 0x260
	hdrEnd         = 0x290 // of the room for the header in the zero page
)

// Bits of loadflags and xloadflags.
const (
	loadedHigh   = 1 << 0
	kaslrFlag    = 1 << 1
	canUseHeap   = 1 << 7
	xlfKernel64  = 1 << 0
	xlfAbove4G   = 1 << 1
	minVersion   = 0x206 // length of the command line: Linux 2.6.22
	prefVersion  = 0x20a // preferred address, memory during start: Linux 2.6.31
	longVersion  = 0x20c // xloadflags: Linux 3.8
	ourVersion   = 0x20f
	initrdMax    = 0x7fffffff
	initrdMax32  = 0x37ffffff // of i386: what the kernel maps
	linuxCmdline = 2047
)

// defaultHeader is the setup header for a vmlinux, which has none.
func defaultHeader() []byte {
	b := record(make([]byte, hdrEnd))
	b.put16(hdrBootFlag, 0xaa55)
	copy(b[hdrMagic:], "HdrS")
	b.put16(hdrVersion, ourVersion)
	b.put8(hdrLoadFlags, loadedHigh)
	b.put32(hdrInitrdMax, initrdMax)
	b.put32(hdrAlignment, 0x200000)
	b.put16(hdrXLoadFlags, xlfKernel64|xlfAbove4G)
	b.put32(hdrCmdlineSize, linuxCmdline)
	return b[hdrStart:]
}

// header32 is the same for an i386 vmlinux.
func header32() []byte {
	b := make(record, hdrEnd)
	copy(b[hdrStart:], defaultHeader())
	b.put32(hdrInitrdMax, initrdMax32)
	b.put16(hdrXLoadFlags, 0)
	return b[hdrStart:]
}

// bzImage is what we need of a bzImage's header.
type bzImage struct {
	header []byte // from 0x1f1 to the header's end, at least to hdrCmdlineSize
	// A 64-bit Linux is unpacked here: payload is its place in the file.
	payload, payloadLen int64
	// Everything else, of which payloadLen is 0, starts itself in 32-bit mode: the
	// file from code on belongs to address load, and needs memory up to end.
	code      int64
	load, end uint64
}

// parseBzImage checks the setup header in the first bytes of a file of size
// bytes.
func parseBzImage(b []byte, size int64) (*bzImage, error) {
	le := binary.LittleEndian
	if len(b) < hdrEnd {
		return nil, io.ErrUnexpectedEOF
	}
	version := le.Uint16(b[hdrVersion:])
	if version < minVersion {
		return nil, fmt.Errorf("has boot protocol %d.%02d, too old: 2.06 (Linux 2.6.22) or later is needed, or a BIOS to start it in real mode (firmware = \"bios\")", version>>8, version&0xff)
	}
	if b[hdrLoadFlags]&loadedHigh == 0 {
		return nil, errors.New("is a zImage, which runs below 1 MiB: use a bzImage, or a BIOS that starts it (firmware = \"bios\")")
	}
	sects := int64(b[hdrSetupSects])
	if sects == 0 {
		sects = 4
	}
	k := &bzImage{code: (sects + 1) * 512}
	if paragraphs := int64(le.Uint32(b[hdrSysSize:])); k.code >= size || paragraphs*16 > size-k.code+15 {
		return nil, errTruncated
	}
	// The header ends where the jump at 0x200 leads.
	end, least := min(hdrMagic+int(b[hdrJump]), hdrEnd), hdrCmdlineSize+4
	if version >= longVersion && le.Uint16(b[hdrXLoadFlags:])&xlfKernel64 != 0 && le.Uint32(b[hdrPayloadLen:]) != 0 {
		k.payload, k.payloadLen = k.code+int64(le.Uint32(b[hdrPayload:])), int64(le.Uint32(b[hdrPayloadLen:]))
		if k.payloadLen < 16 || k.payload > size || k.payloadLen > size-k.payload {
			return nil, fmt.Errorf("is truncated (its compressed part ends at byte %d, the file has %d): copy it again", k.payload+k.payloadLen, size)
		}
		least = hdrPayloadLen + 4
	}
	if end < least {
		return nil, damage("its setup header is too short")
	}
	if k.payloadLen == 0 && le.Uint32(b[hdrCode32:]) == 0 && b[hdrRelocatable] == 0 {
		// Such as iPXE's: the header is there for loaders, not for a kernel.
		return nil, errors.New("is a 16-bit program with the header of a Linux, and no 32-bit entry: it needs a BIOS (firmware = \"bios\")")
	}
	k.header = append([]byte(nil), b[hdrStart:end]...)
	k.place(b, uint64(size-k.code))
	return k, nil
}

// place finds where the code of size bytes runs, and what it needs.
func (k *bzImage) place(b []byte, size uint64) {
	le := binary.LittleEndian
	if k.load = uint64(le.Uint32(b[hdrCode32:])); k.load == 0 {
		k.load = board.OneMiB
	}
	k.end = k.load + size
	if le.Uint16(b[hdrVersion:]) < prefVersion {
		return
	}
	if p := le.Uint64(b[hdrPreferred:]); b[hdrRelocatable] != 0 && p != 0 && p < board.HoleBase {
		k.load = p
	}
	k.end = k.load + max(size, uint64(le.Uint32(b[hdrInitSize:])))
}

// loadBzImage puts the kernel of a bzImage into memory: a 64-bit Linux unpacked,
// everything else as it is.
func (g *guest) loadBzImage(src Source, prefix []byte) (*image, error) {
	k, err := parseBzImage(prefix, src.Size)
	if err != nil {
		return nil, err
	}
	if k.payloadLen == 0 {
		return g.loadCode(src, k)
	}
	c, size, err := k.compression(src)
	if err != nil {
		return nil, err
	}
	// The relocations, which follow the ELF file in the stream, are not needed:
	// the kernel stays where it was linked.
	img, err := g.unpackELF(k.stream(src, c), c, size)
	if err != nil {
		return nil, err
	}
	if img.linuxEntry == 0 {
		return nil, errors.New("holds no 64-bit Linux: use a bzImage or vmlinux")
	}
	// A PVH note does not decide here.
	img.protocol, img.entry, img.header = linux64, img.linuxEntry, k.header
	return img, nil
}

// loadCode copies the part of a bzImage that runs in protected mode.
func (g *guest) loadCode(src Source, k *bzImage) (*image, error) {
	if err := g.fits(k.load, k.end); err != nil {
		return nil, err
	}
	img := &image{
		protocol: linux32, entry: GPA(k.load), start: GPA(k.load), end: GPA(k.end), header: k.header,
		taken: []region{{GPA(k.load), k.end - k.load}},
	}
	if g.dry {
		return img, nil
	}
	n := src.Size - k.code
	if err := g.fill(GPA(k.load), uint64(n), io.NewSectionReader(src.R, k.code, n)); err != nil {
		return nil, err
	}
	return img, nil
}

// compression tells how the payload is compressed, and its size afterwards as
// the kernel's build noted it, or anySize.
func (k *bzImage) compression(src Source) (*compression, int64, error) {
	var head, tail [8]byte
	if _, err := src.R.ReadAt(head[:], k.payload); err != nil {
		return nil, 0, err
	}
	c := detect(head[:])
	if c == nil {
		return nil, 0, damage("unknown compression % x", head[:6])
	}
	if c.open == nil {
		return nil, 0, fmt.Errorf("is compressed with %s, which is not supported: use a kernel built with gzip, xz, zstd, lz4 or bzip2, or its vmlinux", c.name)
	}
	if _, err := src.R.ReadAt(tail[:4], k.payload+k.payloadLen-4); err != nil {
		return nil, 0, err
	}
	size := int64(binary.LittleEndian.Uint32(tail[:]))
	if size > maxImage {
		return nil, 0, fmt.Errorf("decompresses to more than %d MiB", maxImage>>20)
	}
	return c, size, nil
}

// stream returns the compressed payload without what follows it.
func (k *bzImage) stream(src Source, c *compression) io.Reader {
	return io.NewSectionReader(src.R, k.payload, k.payloadLen-int64(c.trailer))
}

// Payload returns the decompressed content of a bzImage: an ELF vmlinux without
// symbols, usually followed by its relocations. The caller closes it.
func Payload(src Source) (io.ReadCloser, error) {
	f, prefix, err := identify(src)
	if err != nil {
		return nil, err
	}
	if f != formatBzImage {
		return nil, fmt.Errorf("kernel %q is not a bzImage", src.Name)
	}
	k, err := parseBzImage(prefix, src.Size)
	if err == nil && k.payloadLen == 0 {
		err = errors.New("holds no 64-bit Linux")
	}
	if err != nil {
		return nil, kernelError(src.Name, err)
	}
	c, size, err := k.compression(src)
	if err != nil {
		return nil, kernelError(src.Name, err)
	}
	var g guest // without an account: this runs on the developer's machine
	z, err := g.unpack(k.stream(src, c), c, size)
	if err != nil {
		return nil, kernelError(src.Name, err)
	}
	return z, nil
}
