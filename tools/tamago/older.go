// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package tamago

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"go/version"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
)

var goLine = regexp.MustCompile(`(?m)^go (\S+)$`)

// needed is a module that go.mod needs, as "go mod download -json" says where it is.
type needed struct{ Path, Version, Dir, GoMod string }

// newer returns the modules of root's go.mod that want a later patch release of Go than
// the compiler has, which refuses those. They are in the same language.
func newer(root, release string) (found []needed, err error) {
	cmd := exec.Command("go", "mod", "download", "-json")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go mod download: %w", err)
	}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var m needed
		if err := d.Decode(&m); errors.Is(err, io.EOF) {
			return found, nil
		} else if err != nil {
			return nil, err
		}
		b, err := os.ReadFile(m.GoMod)
		if err != nil {
			return nil, err
		}
		w := goLine.FindSubmatch(b)
		if m.Path == module || w == nil {
			continue
		}
		wants, has := "go"+string(w[1]), "go"+release
		if version.Compare(wants, has) > 0 && version.Lang(wants) == version.Lang(has) {
			found = append(found, m)
		}
	}
}

// lower makes a folder in dir that is the module m but for its go.mod, which wants no
// more than the release, and returns its name, which is the same on all machines: the
// images keep it. Another process may make the same one.
func lower(m needed, dir, release string) (string, error) {
	b, err := os.ReadFile(m.GoMod)
	if err != nil {
		return "", err
	}
	b = goLine.ReplaceAll(b, []byte("go "+release))
	sum := sha256.Sum256([]byte(m.Path + "@" + m.Version + "\n" + string(b)))
	name := filepath.Join(dir, fmt.Sprintf("%s-%x", filepath.Base(m.Path), sum[:6]))
	entries, err := os.ReadDir(m.Dir)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(name); err == nil {
		if leads(name, m.Dir, entries) {
			return name, nil
		}
		if err := os.RemoveAll(name); err != nil { // it leads to where modules were before
			return "", err
		}
	}
	tmp, err := os.MkdirTemp(dir, "new-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	if err := os.WriteFile(filepath.Join(tmp, "go.mod"), b, 0o644); err != nil {
		return "", err
	}
	for _, e := range entries {
		if e.Name() == "go.mod" {
			continue
		}
		if err := os.Symlink(filepath.Join(m.Dir, e.Name()), filepath.Join(tmp, e.Name())); err != nil {
			return "", err
		}
	}
	if err := os.Rename(tmp, name); err != nil {
		if _, there := os.Stat(name); there != nil {
			return "", err
		}
	}
	return name, nil
}

// leads reports whether the folder name has the entries of dir.
func leads(name, dir string, entries []os.DirEntry) bool {
	for _, e := range entries {
		if e.Name() == "go.mod" {
			continue
		}
		if to, err := os.Readlink(filepath.Join(name, e.Name())); err != nil || to != filepath.Join(dir, e.Name()) {
			return false
		}
	}
	return true
}
