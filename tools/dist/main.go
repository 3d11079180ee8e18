// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Command dist builds what a user boots: build/hv.img and build/dom0.elf, an
// image build/ringo.iso for CDs and disks, and build/tftp/, a folder for a TFTP
// server whose clients run iPXE or are UEFI. The demo guest's files are in both as
// boot modules. Two runs give the same bytes.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"ringo/tools/debian"
	"ringo/tools/demo"
	"ringo/tools/emu"
	"ringo/tools/image"
)

func main() {
	if err := dist(); err != nil {
		fmt.Fprintln(os.Stderr, "dist:", err)
		os.Exit(1)
	}
}

func dist() error {
	if err := debian.Ensure(os.Stderr, "iso"); err != nil {
		return err
	}
	root, err := image.Root()
	if err != nil {
		return err
	}
	out := filepath.Join(root, "build")
	img, err := image.Build(root, out)
	if err != nil {
		return err
	}
	files, err := demo.Prepare(os.Stderr, filepath.Join(out, "demo"))
	if err != nil {
		return err
	}
	c := emu.Config{
		HV:      img.HV,
		HVArgs:  os.Getenv("HVARGS"),
		Modules: append([]emu.Module{{Name: "dom0", Path: img.Dom0}}, emu.Modules(files.Modules()...)...),
	}
	tftp, iso := filepath.Join(out, "tftp"), filepath.Join(out, "ringo.iso")
	if err := c.WriteTFTP(tftp); err != nil {
		return err
	}
	if err := emu.WriteISO(iso, tftp, c.HVArgs, c.Modules); err != nil {
		return err
	}
	for _, f := range []string{img.HV, img.Dom0, iso, filepath.Join(tftp, emu.ScriptName), filepath.Join(tftp, emu.EFIName)} {
		fmt.Println(f)
	}
	return nil
}
