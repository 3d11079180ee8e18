// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package loader

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// format is what a kernel file is.
type format uint8

const (
	formatBzImage format = iota
	formatELF
	formatPacked    // a compressed ELF file
	formatMultiboot // by the addresses in its header
	formatSector
)

// prefixMax is how much of a file is held in memory to find its headers: ELF
// program headers, the Linux setup header and the multiboot headers (first
// 32 KiB) all lie there.
const prefixMax = 64 << 10

// identify reads the beginning of src and tells its format by it.
func identify(src Source) (format, []byte, error) {
	if src.R == nil || src.Size <= 0 {
		return 0, nil, fmt.Errorf("kernel %q is empty", src.Name)
	}
	b := make([]byte, min(src.Size, prefixMax))
	if n, err := src.R.ReadAt(b, 0); n < len(b) {
		return 0, nil, kernelError(src.Name, err)
	}
	if len(b) >= 0x206 && string(b[0x202:0x206]) == "HdrS" {
		return formatBzImage, b, nil
	}
	isELF := bytes.HasPrefix(b, []byte("\x7fELF"))
	if h, err := multibootHeader(b); (h != nil || err != nil) && (!isELF || h != nil && h.flat) {
		return formatMultiboot, b, nil
	}
	if isELF {
		return formatELF, b, nil
	}
	if c := detect(b); c != nil {
		if c.open == nil {
			return 0, nil, fmt.Errorf("kernel %q is compressed with %s, which is not supported: use gzip, xz, zstd, lz4 or bzip2", src.Name, c.name)
		}
		return formatPacked, b, nil
	}
	if isBootSector(b) {
		return formatSector, b, nil
	}
	return 0, nil, fmt.Errorf("kernel %q is not a Linux kernel (no \"HdrS\" at 0x202) nor an ELF file: use a bzImage or vmlinux", src.Name)
}

// loadKernel puts the kernel of r into memory.
func (g *guest) loadKernel(r Request) (*image, error) {
	src := r.Kernel
	f, prefix, err := identify(src)
	if err != nil {
		return nil, err
	}
	file := io.NewSectionReader(src.R, 0, src.Size)
	var img *image
	switch f {
	case formatBzImage:
		img, err = g.loadBzImage(src, prefix)
	case formatMultiboot:
		var h *mbHeader
		if h, err = multibootHeader(prefix); err == nil {
			img, err = g.loadMultiboot(h, file)
		}
	case formatSector:
		img, err = g.loadBootSector(src)
	case formatPacked:
		img, err = g.unpackELF(file, detect(prefix), anySize)
	default:
		img, err = g.loadELF(file)
	}
	if err != nil {
		return nil, kernelError(src.Name, err)
	}
	return img, nil
}

// kernelError names the kernel in err, once.
func kernelError(name string, err error) error {
	return fmt.Errorf("kernel %q %w", name, noEOF(err))
}

// damage is what is said of a file whose content contradicts itself.
func damage(format string, args ...any) error {
	return fmt.Errorf("is damaged ("+format+"): copy it again", args...)
}

var errTruncated = errors.New("is truncated: copy it again")

// noEOF turns the end of a file, where more was expected, into words.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errTruncated
	}
	return err
}
