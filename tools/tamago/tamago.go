// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package tamago builds programs with TamaGo's compiler (GOOS=tamago), which the
// environment variable TAMAGO names, as TamaGo's own makefiles have it.
package tamago

import (
	"errors"
	"fmt"
	"go/version"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

const module = "github.com/usbarmory/tamago"

// ErrNone is the error without a compiler, in one line for the user.
var ErrNone = errors.New("no compiler of TamaGo: TAMAGO=/path/to/go names one, and \"go tool tamago\" gets one where it can be fetched")

// Toolchain is a compiler and a copy of go.mod that it can work with.
type Toolchain struct {
	root, command, modfile string
}

// New finds the compiler for the module at root. Where it is older than go.mod wants,
// and so TamaGo's packages of that release do not fit it, a go.mod with those of its own
// release is made in the folder dir. The error is ErrNone where there is no compiler.
func New(root, dir string) (*Toolchain, error) {
	t := &Toolchain{root: root, command: os.Getenv("TAMAGO")}
	if t.command == "" {
		return nil, ErrNone
	}
	has, err := t.run("env", "GOVERSION")
	if err != nil {
		return nil, err
	}
	has, _, _ = strings.Cut(strings.TrimSpace(has), " ")
	b, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return nil, err
	}
	wants := regexp.MustCompile(`(?m)^go (\S+)$`).FindSubmatch(b)
	if wants == nil || !version.IsValid(has) {
		return nil, fmt.Errorf("TAMAGO=%s: version %q is none that go.mod can be compared with", t.command, has)
	}
	if version.Compare(has, "go"+string(wants[1])) >= 0 {
		return t, nil
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		b, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			return nil, err
		}
	}
	t.modfile = filepath.Join(dir, "go.mod")
	release := strings.TrimPrefix(has, "go")
	_, err = t.run("mod", "edit", "-go="+release, "-toolchain=none", "-require="+module+"@v"+release, t.modfile)
	return t, err
}

// Unikernel builds the main package pkg for one of TamaGo's boards, into the file out.
// It is linked to the address where TamaGo's boards have their memory.
func (t *Toolchain) Unikernel(pkg, out string, tags ...string) error {
	args := []string{"build", "-trimpath", "-buildvcs=false", "-tags", strings.Join(tags, ","), "-ldflags", "-T 0x10010000 -R 0x1000", "-o", out}
	if t.modfile != "" {
		args = append(args, "-mod=mod", "-modfile="+t.modfile)
	}
	_, err := t.run(append(args, pkg)...)
	return err
}

// run runs the compiler's go command in the module.
func (t *Toolchain) run(args ...string) (string, error) {
	cmd := exec.Command(t.command, args...)
	cmd.Dir = t.root
	cmd.Env = append(os.Environ(), "GOOS=tamago", "GOARCH=amd64", "GOOSPKG="+module, "GOFLAGS=", "GOTOOLCHAIN=local", "CGO_ENABLED=0")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", t.command, strings.Join(args, " "), err, stderr.String())
	}
	return string(out), nil
}
