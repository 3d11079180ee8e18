// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// isoEpoch is the time of everything in an ISO and in what GRUB makes, so that
// the same input gives the same bytes.
var isoEpoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// isoDate is isoEpoch as xorriso wants it: also the source of the disk's GUIDs.
var isoDate = isoEpoch.Format("20060102150405") + "00"

// The folder of the loader on the medium, and what is in it.
const (
	grubFolder = "boot/grub"
	biosName   = "bios.img" // El Torito's image, and what the stick's boot sector loads
	espName    = "efi.img"  // the EFI system partition
)

// WriteISO makes a CD image that, written to a disk, boots from that as well, by
// BIOS and by UEFI, through GRUB and multiboot 2. hv and the modules are taken
// from the folder dir by their names. The same input gives the same bytes.
func WriteISO(iso, dir, args string, mods []Module) error {
	root, err := os.MkdirTemp(filepath.Dir(iso), "iso-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(root)
	grub := filepath.Join(root, grubFolder)
	if err := os.MkdirAll(grub, 0o755); err != nil {
		return err
	}
	id := sha256.New()
	for _, m := range append([]Module{{Name: "hv"}}, mods...) {
		file := filepath.Join(root, "boot", m.Name)
		if err := place(file, filepath.Join(dir, m.Name)); err != nil {
			return err
		}
		if err := hash(id, file); err != nil {
			return err
		}
	}
	cfg := grubConfig("/boot", args, mods)
	io.WriteString(id, cfg)
	if err := os.WriteFile(filepath.Join(grub, grubConfigName), []byte(cfg), 0o644); err != nil {
		return err
	}
	if err := writeLoaders(grub, hex.EncodeToString(id.Sum(nil)[:8])); err != nil {
		return err
	}
	os.Remove(iso) // xorriso would add to it
	return reproducibly("xorriso", "-as", "mkisofs", "-quiet", "-r", "-V", "RINGO",
		"--set_all_file_dates", isoDate, "--modification-date="+isoDate,
		"-b", grubFolder+"/"+biosName, "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table", "--grub2-boot-info",
		"--grub2-mbr", filepath.Join(grubDir, "i386-pc", "boot_hybrid.img"),
		"--efi-boot", grubFolder+"/"+espName, "-efi-boot-part", "--efi-boot-image", "--protective-msdos-label",
		"-o", iso, root)
}

// hash adds a file's bytes to what an image is known by.
func hash(h io.Writer, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(h, f)
	return err
}

// writeLoaders makes the images of GRUB in the medium's folder grub. They know
// their medium among others, also of another version of the same, by the name of
// an empty file, which comes from the content.
func writeLoaders(grub, id string) error {
	marker := "ringo-" + id
	if err := os.WriteFile(filepath.Join(grub, marker), nil, 0o644); err != nil {
		return err
	}
	commands := strings.ReplaceAll(`search --no-floppy --file --set=root /DIR/MARKER
set prefix=($root)/DIR
configfile $prefix/CONFIG
`, "DIR", grubFolder)
	commands = strings.NewReplacer("MARKER", marker, "CONFIG", grubConfigName).Replace(commands)
	if err := grubImage(filepath.Join(grub, biosName), biosPlatform, commands, biosMedium); err != nil {
		return err
	}
	efi := filepath.Join(grub, EFIName)
	if err := grubImage(efi, efiPlatform, commands, efiMedium); err != nil {
		return err
	}
	defer os.Remove(efi) // it is in the partition
	return writeESP(filepath.Join(grub, espName), efi)
}

// writeESP makes an EFI system partition, the size of a 2.88 MB floppy disk, with
// the program efi where firmware looks on removable media (UEFI 2.10, "Removable
// Media Boot Behavior").
func writeESP(esp, efi string) error {
	for _, c := range [][]string{
		{"mformat", "-C", "-f", "2880", "-L", "16", "-N", "52494e47", "-v", "RINGO", "-i", esp, "::"},
		{"mmd", "-i", esp, "::EFI", "::EFI/BOOT"},
		{"mcopy", "-i", esp, efi, "::EFI/BOOT/BOOTX64.EFI"},
	} {
		if err := reproducibly(c[0], c[1:]...); err != nil {
			return err
		}
	}
	return nil
}
