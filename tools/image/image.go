// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package image compiles the two Ringo images: with the stock Go toolchain, or with
// TamaGo's if the environment variable TOOLCHAIN says so.
package image

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Images is the result of Build: paths of files.
type Images struct {
	HV   string // multiboot image of the hypervisor
	Dom0 string // ELF executable of dom0
}

// ldflags link both images at boot/layout.TextBase with the entry point of
// their platform. Without a build id the file depends on its sources alone.
const ldflags = "-T 0x101000 -buildid= -E ringo/boot/kernel."

// gcflags have the compiler put a mask on each index of our own code that it checks:
// where the check is mispredicted, the index is 0 (ARCHITECTURE.md, "Speculative
// execution"). An index that it need not check, of a type or with a mask that fits
// the table, costs nothing.
const gcflags = "ringo/...=-spectre=index"

// Root is the folder of this module, found from the working directory upwards.
func Root() (string, error) {
	dir, err := os.Getwd()
	for ; err == nil; dir = filepath.Dir(dir) {
		b, rerr := os.ReadFile(filepath.Join(dir, "go.mod"))
		if rerr == nil && strings.HasPrefix(string(b), "module ringo\n") {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("not inside the ringo module")
		}
	}
	return "", err
}

// Build compiles hv and dom0 of the module at root into the folder dir.
func Build(root, dir string) (img Images, err error) {
	if img.HV, err = Bare(root, "./hv", filepath.Join(dir, "hv.img")); err != nil {
		return img, err
	}
	img.Dom0, err = Partition(root, "./dom0", filepath.Join(dir, "dom0.elf"))
	return img, err
}

// Bare compiles the main package pkg of the module at root for the bare machine,
// as a multiboot image out. It returns the image's absolute path. The executable
// with its symbols, for a debugger, is left beside it as out with ".elf". tags
// are build tags.
func Bare(root, pkg, out string, tags ...string) (string, error) {
	out, err := prepare(out)
	if err != nil {
		return "", err
	}
	linked := strings.TrimSuffix(out, filepath.Ext(out)) + ".elf"
	if linked == out {
		return "", fmt.Errorf("image %s: .elf is the name of the executable", out)
	}
	if err := link(root, linked, pkg, "off", "startBare", "", tags...); err != nil {
		return "", err
	}
	return out, goTool(root, nil, "run", "./tools/mkimage", linked, out)
}

// Partition compiles the main package pkg of the module at root for a partition
// of the hypervisor, as dom0 is, into the executable out. It returns its
// absolute path.
//
// Of Go's cryptographic packages it has the frozen module v1.0.0, which comes with the
// toolchain: later ones bring an entropy source with a buffer of 32 MiB, as soon as
// anything imports a hash. It is not run in its FIPS mode: dom0 says so by go:debug.
func Partition(root, pkg, out string) (string, error) {
	out, err := prepare(out)
	if err != nil {
		return "", err
	}
	return out, link(root, out, pkg, "v1.0.0", "startPartition", "-s -w ")
}

// prepare makes the folder of out, and out absolute.
func prepare(out string) (string, error) {
	out, err := filepath.Abs(out)
	if err != nil {
		return "", err
	}
	return out, os.MkdirAll(filepath.Dir(out), 0o755)
}

// link builds one freestanding program. The environment is fixed, so that the
// user's settings do not change the image.
func link(root, out, pkg, fips, entry, flags string, tags ...string) error {
	env := []string{"GOAMD64=v1", "GOEXPERIMENT=", "GOFIPS140=" + fips}
	args := []string{"-gcflags=" + gcflags, "-tags", strings.Join(tags, ","), "-ldflags", flags + ldflags + entry, "-o", out, pkg}
	switch name := os.Getenv("TOOLCHAIN"); name {
	case "", "go":
		env = append(env, "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOFLAGS=")
		return goTool(root, env, append([]string{"build", "-trimpath", "-buildvcs=false"}, args...)...)
	case "tamago":
		return linkTamago(root, out, env, args, flags == "")
	default:
		return fmt.Errorf("TOOLCHAIN=%s: it is go or tamago", name)
	}
}

// goTool runs the go command in the module.
func goTool(root string, env []string, args ...string) error {
	cmd := exec.Command("go", args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}
