// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package loader puts an operating system into the memory of a new domain: a
// kernel (Linux bzImage or vmlinux, PVH ELF, multiboot 1 and 2, a boot sector), its
// initrd or modules, command line, memory map and ACPI tables, and says in which
// register state the first vCPU starts.
//
// A bzImage is decompressed here, in dom0, straight into the guest's memory;
// the guest's own decompressor, which needs two thirds of a Debian kernel's
// boot, does not run, nor does its address randomization. Nothing larger than
// a decompressor's window is kept on dom0's heap, and that is reserved from an
// [account.Account] first.
//
// # Threats
//
// Kernels and initrds are hostile input. Sizes and addresses are checked before
// use with arithmetic that cannot overflow; an image can only reach the guest's
// memory, through [Guest]; a decoder that panics fails the one request. What
// decompression takes of dom0's memory is known before it begins, from the
// windows that the file declares, which are no larger than its output; output
// ends where the file says, or shortly behind the ELF file. The domain is destroyed by the caller when Load
// fails: Load keeps nothing of it.
package loader

import (
	"fmt"
	"io"

	"ringo/dom0/account"
	"ringo/dom0/board"
	"ringo/hv/abi"
)

// GPA is a guest physical address in bytes.
type GPA uint64

// Guest is the memory of a domain that does not run yet.
type Guest interface {
	// RAM returns the guest's RAM at a: at least one byte, at most n, and
	// fewer than n where it is not contiguous in dom0. It returns nil when a
	// is not RAM. The slice is used before Load returns only.
	RAM(a GPA, n uint64) []byte
}

// Source is a file: a boot module or the content of a volume.
type Source struct {
	// Name is what the user calls it, for error messages: "boot:vmlinuz".
	Name string
	// R's errors go on from the name: "cannot be read: ...".
	R    io.ReaderAt
	Size int64
}

// Request says what to load.
type Request struct {
	Kernel Source
	// Initrd is optional: none when its R is nil.
	Initrd Source
	// Modules are for multiboot and PVH kernels; an initrd is the first of them.
	Modules []Module
	// Cmdline is the kernel's command line.
	Cmdline string
	// Machine is what the guest sees.
	Machine *board.Machine
	// Account is what the decompressor's memory is reserved from; several loads
	// at once wait for each other where it is not enough for all. Nil has no limit.
	Account *account.Account
}

// Module is a file that a kernel is given beside the command line.
type Module struct {
	Source
	// Text is the string that goes with it: its name and arguments, as the user
	// wrote them.
	Text string
}

// protocol is how a loaded kernel wants to be entered.
type protocol uint8

const (
	linux64    protocol = iota // 64-bit mode, boot_params in RSI
	linux32                    // 32-bit mode, boot_params in ESI
	pvh                        // 32-bit mode, hvm_start_info in EBX
	multiboot                  // 32-bit mode, multiboot information in EBX
	multiboot2                 // the same, version 2
	bootSector                 // real mode, at 0000:7C00
)

// image is a kernel in guest memory.
type image struct {
	protocol protocol
	entry    GPA
	// start and end bound all that the kernel needs to find as RAM before it
	// has a memory allocator.
	start, end GPA
	// taken is what of memory the image occupies.
	taken []region
	// fileEnd is where the kernel's ELF file ends, as far as that is known.
	fileEnd uint64
	// linuxEntry is where an ELF file is entered if it is a Linux; 0: nowhere.
	linuxEntry GPA
	// header is the setup header of the Linux boot protocol, from offset
	// 0x1f1 of the zero page on.
	header []byte
	// relocatable says that a multiboot 2 kernel asks where it lies.
	relocatable bool
}

// Load fills mem as r says and returns the start state of vCPU 0; the other
// vCPUs wait for INIT and SIPI as after a reset. Errors are one line, for the
// user.
//
// Preconditions: mem is the RAM of r.Machine;
// what Load does not write is zero.
func Load(r Request, mem Guest) (ctx abi.VCPUContext, err error) {
	g := &guest{mem: mem, layout: r.Machine.Map(), account: r.Account}
	return g.load(r)
}

// load is Load, and for a guest that is dry Try.
func (g *guest) load(r Request) (ctx abi.VCPUContext, err error) {
	img, err := g.kernel(r)
	if err != nil {
		return ctx, err
	}
	if err := img.takes(r); err != nil {
		return ctx, err
	}
	if err := g.placeBoot(img); err != nil {
		return ctx, err
	}
	mods, err := g.loadModules(r, img)
	if err != nil {
		return ctx, err
	}
	if err := g.write(board.ACPIBase, r.Machine.Tables()); err != nil {
		return ctx, err
	}
	if err := g.write(board.VectorAt, resetVector()); err != nil {
		return ctx, err
	}
	if err := g.writeCmdline(r, img); err != nil {
		return ctx, err
	}
	ctx, err = g.start(r, img, mods)
	ctx.VirtualWire = 1 // as firmware would have left it
	return ctx, err
}

// start builds what the kernel's protocol wants.
func (g *guest) start(r Request, img *image, mods []module) (abi.VCPUContext, error) {
	switch img.protocol {
	case pvh:
		return g.startPVH(img, mods)
	case multiboot:
		return g.startMultiboot(img, mods)
	case multiboot2:
		return g.startMultiboot2(img, mods, r)
	case bootSector:
		return g.startBootSector()
	}
	var rd region
	if len(mods) > 0 {
		rd = mods[0].region
	}
	return g.startLinux(img, rd)
}

// takes verifies that the kernel's protocol can hand over what r gives it.
func (img *image) takes(r Request) error {
	switch {
	case img.isLinux() && len(r.Modules) > 0:
		return fmt.Errorf("kernel %q is a Linux, which takes no modules: use initrd", r.Kernel.Name)
	case img.protocol == bootSector && (len(r.Modules) > 0 || r.Initrd.R != nil || r.Cmdline != ""):
		return fmt.Errorf("kernel %q is a boot sector, which takes no initrd, modules or cmdline: leave them out", r.Kernel.Name)
	}
	return nil
}

// kernel is loadKernel with what a hostile file may do to it.
func (g *guest) kernel(r Request) (img *image, err error) {
	defer func() {
		p := recover()
		g.release()
		if p != nil {
			img, err = nil, fmt.Errorf("kernel %q is damaged (decoder failed: %v)", r.Kernel.Name, p)
		}
	}()
	return g.loadKernel(r)
}

// Wants is what a kernel's beginning says of the machine that it wants.
type Wants struct {
	// PVH says that it is entered by its PVH note: it expects a virtual machine, as
	// unikernels do.
	PVH bool
	// Start is the lowest address at which something is loaded.
	Start GPA
}

// Base is the Config.Base of a machine with memory bytes: a unikernel that is linked to
// higher addresses than it has memory gets its memory there.
func (w Wants) Base(memory uint64) uint64 {
	if !w.PVH || uint64(w.Start) < memory || w.Start >= board.HoleBase {
		return 0
	}
	return uint64(w.Start) &^ (board.BaseAlign - 1)
}

// Check reports whether src looks like a kernel that Load can start, without
// reading more than its beginning: for early errors. Of packed kernels it cannot tell
// what they want.
func Check(src Source) (w Wants, err error) {
	kind, prefix, err := identify(src)
	if err != nil || kind != formatELF {
		return w, err
	}
	f, err := parseELF(prefix)
	if err != nil { // which Load says with the kernel's name
		return w, nil
	}
	img := image{start: ^GPA(0)}
	for _, s := range f.loads {
		img.start, img.end = min(img.start, GPA(s.paddr)), max(img.end, GPA(s.paddr+s.memsz))
		if s.hasPhys(f.entry) {
			img.linuxEntry = GPA(f.entry)
		}
	}
	g := &guest{dry: true}
	if g.findEntry(f, prefix, &img) == nil {
		w = Wants{img.protocol == pvh, img.start}
	}
	return w, nil
}

// Try returns the error with which Load would fail, as far as that can be told
// from the beginnings of the files: it reads headers, unpacks the first 64 KiB,
// and finds places for everything.
func Try(r Request) error {
	g := &guest{layout: r.Machine.Map(), account: r.Account, dry: true}
	_, err := g.load(r)
	return err
}

// amount is n bytes, for messages.
func amount(n uint64) string {
	switch {
	case n < 1<<20:
		return fmt.Sprintf("%d KiB", (n+1023)>>10)
	case n&(1<<20-1) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d.%02d MiB", n>>20, n&(1<<20-1)*100>>20)
}

// mib rounds n up to whole MiB, for messages.
func mib(n uint64) uint64 { return n>>20 + (n&(1<<20-1)+1<<20-1)>>20 }
