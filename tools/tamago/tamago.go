// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package tamago builds programs with TamaGo's compiler (GOOS=tamago), which the
// environment variable TAMAGO names, as TamaGo's own makefiles have it, or which
// "go tool tamago" has fetched.
package tamago

import (
	"errors"
	"fmt"
	"go/version"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const module = "github.com/usbarmory/tamago"

// ErrNone is the error without a compiler, in one line for the user.
var ErrNone = errors.New("no compiler of TamaGo: TAMAGO=/path/to/go names one, and \"go tool tamago version\" gets one where it can be fetched")

// Toolchain is a compiler and a copy of go.mod that it can work with.
type Toolchain struct {
	root, command, modfile string
}

// cached is where "go tool tamago" keeps the compiler of the module's release.
func cached(root string) string {
	cmd := exec.Command("go", "list", "-m", "-f", "{{.Version}}", module)
	cmd.Dir = root
	version, err := cmd.Output()
	cache, err2 := os.UserCacheDir()
	if err != nil || err2 != nil {
		return ""
	}
	name := "tamago-go" + strings.TrimPrefix(strings.TrimSpace(string(version)), "v")
	return filepath.Join(cache, "tamago-go", name, "bin", "go")
}

// Fetch gets the compiler of the module's release by "go tool tamago", which clones and
// builds it, once: that takes minutes, and a network.
func Fetch(root string) error {
	cmd := exec.Command("go", "tool", "tamago", "version")
	cmd.Dir = root
	if cmd.Run() != nil {
		return ErrNone
	}
	return nil
}

// Get is New, and gets the compiler first if there is none and nobody names one.
func Get(root, dir string) (*Toolchain, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	t, err := New(root, dir)
	if errors.Is(err, ErrNone) && os.Getenv("TAMAGO") == "" {
		if err = Fetch(root); err == nil {
			t, err = New(root, dir)
		}
	}
	return t, err
}

// New finds the compiler for the module at root. Where it is older than go.mod wants,
// and so TamaGo's packages of that release do not fit it, a go.mod with those of its own
// release is made in the folder dir. The error is ErrNone where there is no compiler.
func New(root, dir string) (*Toolchain, error) {
	t := &Toolchain{root: root, command: os.Getenv("TAMAGO")}
	if t.command == "" {
		t.command = cached(root)
		if _, err := os.Stat(t.command); err != nil {
			return nil, ErrNone
		}
	}
	has, err := t.run(nil, "env", "GOVERSION")
	if err != nil {
		return nil, err
	}
	has, _, _ = strings.Cut(strings.TrimSpace(has), " ")
	b, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return nil, err
	}
	wants := goLine.FindSubmatch(b)
	if wants == nil || !version.IsValid(has) {
		return nil, fmt.Errorf("TAMAGO=%s: version %q is none that go.mod can be compared with", t.command, has)
	}
	if version.Compare(has, "go"+string(wants[1])) >= 0 {
		return t, nil
	}
	return t, t.older(dir, strings.TrimPrefix(has, "go"))
}

// older makes the go.mod of a release in dir, where another process may use or make the
// same one.
func (t *Toolchain) older(dir, release string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(dir, "new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	for _, name := range []string{"go.mod", "go.sum"} {
		b, err := os.ReadFile(filepath.Join(t.root, name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(tmp, name), b, 0o644); err != nil {
			return err
		}
	}
	edit := []string{"mod", "edit", "-go=" + release, "-toolchain=none", "-require=" + module + "@v" + release}
	late, err := newer(t.root, release)
	if err != nil {
		return err
	}
	for _, m := range late {
		name, err := lower(m, dir, release)
		if err != nil {
			return err
		}
		if rel, err := filepath.Rel(t.root, name); err == nil && filepath.IsLocal(rel) {
			name = "./" + rel // so that the images are the same from another folder
		}
		edit = append(edit, "-replace="+m.Path+"="+name)
	}
	if _, err := t.run(nil, append(edit, filepath.Join(tmp, "go.mod"))...); err != nil {
		return err
	}
	t.modfile = filepath.Join(dir, "go.mod")
	if err := os.Rename(filepath.Join(tmp, "go.mod"), t.modfile); err != nil {
		return err
	}
	return os.Rename(filepath.Join(tmp, "go.sum"), filepath.Join(dir, "go.sum"))
}

// Unikernel builds the main package pkg for one of TamaGo's boards, into the file out.
// It is linked to the address where TamaGo's boards have their memory.
func (t *Toolchain) Unikernel(pkg, out string, tags ...string) error {
	return t.Build(nil, "-tags", strings.Join(tags, ","), "-ldflags", "-T 0x10010000 -R 0x1000", "-o", out, pkg)
}

// Build runs "go build" with the arguments, and with env beside what the compiler needs.
func (t *Toolchain) Build(env []string, args ...string) error {
	all := []string{"build", "-trimpath", "-buildvcs=false"}
	if t.modfile != "" {
		all = append(all, "-mod=mod", "-modfile="+t.modfile)
	}
	_, err := t.run(env, append(all, args...)...)
	return err
}

// run runs the compiler's go command in the module.
func (t *Toolchain) run(env []string, args ...string) (string, error) {
	cmd := exec.Command(t.command, args...)
	cmd.Dir = t.root
	cmd.Env = append(os.Environ(), "GOOS=tamago", "GOARCH=amd64", "GOOSPKG="+module, "GOFLAGS=", "GOTOOLCHAIN=local", "CGO_ENABLED=0")
	cmd.Env = append(cmd.Env, env...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", t.command, strings.Join(args, " "), err, stderr.String())
	}
	return string(out), nil
}
