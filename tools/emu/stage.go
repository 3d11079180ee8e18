// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// ScriptName is the iPXE script's name, in the folder of hv and the modules.
const ScriptName = "boot.ipxe"

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
	case BootISO:
		iso := filepath.Join(c.Dir, isoName)
		return stage{iso: iso}, WriteISO(iso, dir, c.HVArgs, c.Modules)
	case BootPXE:
		return stage{tftp: dir}, c.writeScript(dir)
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

// WriteTFTP makes dir a folder from which iPXE boots c: hv, the modules and the
// script ScriptName.
func (c Config) WriteTFTP(dir string) error {
	if err := checkModules(c.Modules); err != nil {
		return err
	}
	if err := c.fill(dir); err != nil {
		return err
	}
	return c.writeScript(dir)
}

func (c Config) writeScript(dir string) error {
	return os.WriteFile(filepath.Join(dir, ScriptName), []byte(ipxeScript(c.HVArgs, c.Modules)), 0o644)
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

// grubConfig boots from files in /boot of the medium. GRUB passes the words
// after the file name only, so the name is repeated.
func grubConfig(args string, mods []Module) string {
	var b strings.Builder
	b.WriteString("set timeout=0\nmultiboot2 /boot/hv")
	for _, w := range strings.Fields(args) {
		fmt.Fprintf(&b, " '%s'", strings.ReplaceAll(w, "'", `'\''`))
	}
	b.WriteString("\n")
	for _, m := range mods {
		fmt.Fprintf(&b, "module2 '/boot/%s' '%[1]s'\n", m.Name)
	}
	b.WriteString("boot\n")
	return b.String()
}

// isoEpoch is the time of every file in an ISO, so that the same input gives
// nearly the same image.
var isoEpoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// WriteISO makes a CD image that boots by BIOS through GRUB and multiboot 2.
// hv and the modules are taken from the folder dir by their names.
func WriteISO(iso, dir, args string, mods []Module) error {
	root, err := os.MkdirTemp(filepath.Dir(iso), "iso-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(root)
	boot := filepath.Join(root, "boot")
	if err := os.MkdirAll(filepath.Join(boot, "grub"), 0o755); err != nil {
		return err
	}
	for _, m := range append([]Module{{Name: "hv"}}, mods...) {
		if err := place(filepath.Join(boot, m.Name), filepath.Join(dir, m.Name)); err != nil {
			return err
		}
	}
	cfg := filepath.Join(boot, "grub", "grub.cfg")
	if err := os.WriteFile(cfg, []byte(grubConfig(args, mods)), 0o644); err != nil {
		return err
	}
	cmd := exec.Command("grub-mkrescue", "-d", "/usr/lib/grub/i386-pc",
		"--locales=", "--fonts=", "--themes=",
		"--install-modules=multiboot2 iso9660 biosdisk normal part_msdos",
		"-o", iso, root)
	cmd.Env = append(os.Environ(), fmt.Sprintf("SOURCE_DATE_EPOCH=%d", isoEpoch.Unix()))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("grub-mkrescue: %w\n%s", err, out)
	}
	return nil
}
