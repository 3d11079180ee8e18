// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The boot loaders: scripts for iPXE and GRUB, and GRUB itself, made of the
// modules in Debian's packages.

// GRUB's names for what an image is made for. Its folder of modules is named by
// what precedes "-eltorito".
const (
	biosPlatform = "i386-pc-eltorito"
	efiPlatform  = "x86_64-efi"
	grubDir      = "/usr/lib/grub"
)

// Modules of GRUB. efi_gop sets the mode of the frame buffer that the hypervisor is
// told of.
const (
	grubCommon = "normal configfile multiboot2 test echo"
	grubMedium = grubCommon + " iso9660 search search_fs_file"
	biosMedium = grubMedium + " biosdisk"
	efiMedium  = grubMedium + " efi_gop"
	efiNet     = grubCommon + " efi_gop net efinet tftp"
)

// grubImage makes out a GRUB with the modules, which starts by the commands.
func grubImage(out, platform, commands, modules string) error {
	start := out + ".cfg"
	if err := os.WriteFile(start, []byte(commands), 0o644); err != nil {
		return err
	}
	defer os.Remove(start)
	folder, _, _ := strings.Cut(platform, "-eltorito")
	args := []string{"-O", platform, "-d", filepath.Join(grubDir, folder), "-p", "/boot/grub", "-c", start, "-o", out}
	return reproducibly("grub-mkimage", append(args, strings.Fields(modules)...)...)
}

// reproducibly runs a program with the time of isoEpoch, where it can be told.
func reproducibly(name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), fmt.Sprintf("SOURCE_DATE_EPOCH=%d", isoEpoch.Unix()), "TZ=UTC", "MTOOLSRC=/dev/null")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}

// ipxeScript boots by network: the files lie beside the script.
func ipxeScript(args string, mods []Module) string {
	var b strings.Builder
	fmt.Fprintf(&b, "#!ipxe\n%s\n", strings.TrimSpace("kernel hv "+args))
	for _, m := range mods {
		fmt.Fprintf(&b, "module %s\n", m.Name)
	}
	b.WriteString("boot\n")
	return b.String()
}

// grubConfig boots from files in the folder dir, in which GRUB's variables are
// replaced. On BIOS machines text mode stays: GRUB's calls of the video BIOS hang
// some (Bochs). The command multiboot2 sets gfxpayload, boot uses it. GRUB passes the words after the file name only, so the name is
// repeated.
func grubConfig(dir, args string, mods []Module) string {
	var b strings.Builder
	fmt.Fprintf(&b, "set timeout=0\nmultiboot2 %s/hv", dir)
	for _, w := range strings.Fields(args) {
		fmt.Fprintf(&b, " '%s'", strings.ReplaceAll(w, "'", `'\''`))
	}
	b.WriteString("\n")
	for _, m := range mods {
		fmt.Fprintf(&b, "module2 %s/'%s' '%[2]s'\n", dir, m.Name)
	}
	b.WriteString("if [ $grub_platform = pc ]; then set gfxpayload=text; fi\nboot\n")
	return b.String()
}
