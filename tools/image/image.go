// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package image compiles the two Ringo images with the stock Go toolchain.
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

// Exists reports whether the module at root has both programs.
func Exists(root string) bool {
	for _, p := range []string{"hv/main.go", "dom0/main.go"} {
		if _, err := os.Stat(filepath.Join(root, p)); err != nil {
			return false
		}
	}
	return true
}

// Build compiles hv and dom0 of the module at root into the folder dir, which
// is made if it is not there.
func Build(root, dir string) (Images, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Images{}, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return Images{}, err
	}
	img := Images{HV: filepath.Join(dir, "hv.img"), Dom0: filepath.Join(dir, "dom0.elf")}
	linked := filepath.Join(dir, "hv.elf")
	if err := link(root, linked, "./hv", "startBare", ""); err != nil {
		return Images{}, err
	}
	if err := link(root, img.Dom0, "./dom0", "startPartition", "-s -w "); err != nil {
		return Images{}, err
	}
	tool := filepath.Join(dir, "mkimage")
	if err := goTool(root, nil, "build", "-o", tool, "./tools/mkimage"); err != nil {
		return Images{}, err
	}
	if out, err := exec.Command(tool, linked, img.HV).CombinedOutput(); err != nil {
		return Images{}, fmt.Errorf("mkimage: %w\n%s", err, out)
	}
	return img, nil
}

// link builds one freestanding program. The environment is fixed, so that the
// user's settings do not change the image.
func link(root, out, pkg, entry, flags string) error {
	env := []string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOAMD64=v1", "GOFLAGS=", "GOEXPERIMENT=", "GOFIPS140=off"}
	return goTool(root, env, "build", "-trimpath", "-buildvcs=false", "-ldflags", flags+ldflags+entry, "-o", out, pkg)
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
