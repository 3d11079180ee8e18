// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Names in the folder of hv and the modules: the iPXE script, GRUB as an EFI
// program, and the file of commands that it loads.
const (
	ScriptName     = "boot.ipxe"
	EFIName        = "ringo.efi"
	grubConfigName = "grub.cfg"
)

const isoName = "ringo.iso"

// stage is where the files of a run lie; only what the way of booting needs is
// set.
type stage struct {
	kernel  string
	modules []string
	iso     string
	tftp    string
}

// makeStage puts hv and the modules under their names into c.Dir/boot, and
// makes of it what the way of booting needs.
func (c Config) makeStage() (stage, error) {
	dir, err := shortest(filepath.Join(c.Dir, "boot"))
	if err != nil {
		return stage{}, err
	}
	if err := c.fill(dir); err != nil {
		return stage{}, err
	}
	switch c.Boot {
	case BootISO, BootUSB, BootUEFIISO, BootUEFIUSB:
		iso := filepath.Join(c.Dir, isoName)
		return stage{iso: iso}, WriteISO(iso, dir, c.HVArgs, c.Modules)
	case BootPXE, BootUEFIPXE:
		return stage{tftp: dir}, c.writeNetwork(dir)
	}
	s := stage{kernel: filepath.Join(dir, "hv")}
	for _, m := range c.Modules {
		s.modules = append(s.modules, filepath.Join(dir, m.Name))
	}
	return s, nil
}

// fill makes the folder dir new, with hv and the modules under their names.
func (c Config) fill(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for _, m := range append([]Module{{"hv", c.HV}}, c.Modules...) {
		if err := place(filepath.Join(dir, m.Name), m.Path); err != nil {
			return err
		}
	}
	return nil
}

// WriteTFTP makes dir a folder from which clients boot c by network: hv, the
// modules, the script ScriptName for iPXE (BIOS) and the program EFIName (UEFI).
func (c Config) WriteTFTP(dir string) error {
	if err := checkModules(c.Modules); err != nil {
		return err
	}
	if err := c.fill(dir); err != nil {
		return err
	}
	return c.writeNetwork(dir)
}

// writeNetwork puts beside hv and the modules what makes clients load them.
func (c Config) writeNetwork(dir string) error {
	script := filepath.Join(dir, ScriptName)
	if err := os.WriteFile(script, []byte(ipxeScript(c.HVArgs, c.Modules)), 0o644); err != nil {
		return err
	}
	cfg := filepath.Join(dir, grubConfigName)
	if err := os.WriteFile(cfg, []byte(grubConfig("$cmdpath", c.HVArgs, c.Modules)), 0o644); err != nil {
		return err
	}
	return grubImage(filepath.Join(dir, EFIName), efiPlatform, "configfile $cmdpath/"+grubConfigName+"\n", efiNet)
}

// place makes the file src appear as dst: as a hard link, else as a copy.
func place(dst, src string) error {
	st, err := os.Stat(src)
	if err != nil {
		return err
	}
	if !st.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", src)
	}
	if real, err := filepath.EvalSymlinks(src); err == nil && os.Link(real, dst) == nil {
		return nil
	}
	in, err := os.Open(src)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(dst)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	return err
}
