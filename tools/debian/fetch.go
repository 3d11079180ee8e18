// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package debian

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// Fetch downloads a package and unpacks of it the one file whose path matches
// pattern, as dst. Nothing is installed, and no root is
// needed once the package lists are there. A package without files of its own
// stands for the first package it depends on.
func Fetch(log io.Writer, pkg, pattern, dst string) error {
	dir, err := os.MkdirTemp(filepath.Dir(dst), "fetch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Fprintf(log, "fetching %s from the Debian package %s\n", path.Base(pattern), pkg)
	deb, err := download(log, pkg, dir)
	if err != nil {
		return fmt.Errorf("%w; or install it:\n    %s", err, Command([]string{pkg}))
	}
	err = extract(deb, pattern, dst)
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	dep, derr := dependency(pkg)
	if derr != nil {
		return errors.Join(err, derr)
	}
	if deb, err = download(log, dep, dir); err != nil {
		return err
	}
	return extract(deb, pattern, dst)
}

// download gets a package file and returns its name.
func download(log io.Writer, pkg, dir string) (string, error) {
	err := apt(log, dir, "download", pkg)
	if err != nil && os.Geteuid() == 0 {
		// Fresh machines have no package lists.
		if err = apt(log, "", "update"); err == nil {
			err = apt(log, dir, "download", pkg)
		}
	}
	if err != nil {
		return "", err
	}
	got, _ := filepath.Glob(filepath.Join(dir, pkg+"_*.deb"))
	if len(got) != 1 {
		return "", fmt.Errorf("apt-get download %s left %d files", pkg, len(got))
	}
	return got[0], nil
}

// dependency is the first package that pkg depends on.
func dependency(pkg string) (string, error) {
	out, err := exec.Command("apt-cache", "depends", "--no-recommends", "--no-suggests", pkg).Output()
	if err != nil {
		return "", fmt.Errorf("apt-cache depends %s: %w", pkg, err)
	}
	return parseDepends(string(out))
}

func parseDepends(out string) (string, error) {
	for line := range strings.Lines(out) {
		if dep, ok := strings.CutPrefix(strings.TrimSpace(line), "Depends: "); ok && !strings.HasPrefix(dep, "<") {
			return dep, nil
		}
	}
	return "", errors.New("the package depends on nothing")
}

// extract writes the file of deb that matches pattern to dst; the error is
// os.ErrNotExist if there is none.
func extract(deb, pattern, dst string) error {
	cmd := exec.Command("dpkg-deb", "--fsys-tarfile", deb)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	err = untar(out, pattern, dst)
	io.Copy(io.Discard, out) // so that dpkg-deb can end well
	return errors.Join(err, cmd.Wait())
}

// untar writes the first regular file of the archive r that matches pattern.
func untar(r io.Reader, pattern, dst string) error {
	t := tar.NewReader(r)
	for {
		h, err := t.Next()
		if err == io.EOF {
			return fmt.Errorf("no %s in the package: %w", pattern, os.ErrNotExist)
		}
		if err != nil {
			return err
		}
		if ok, err := path.Match(pattern, path.Clean("/"+h.Name)); err != nil {
			return err
		} else if !ok || h.Typeflag != tar.TypeReg {
			continue
		}
		return writeAll(dst, t)
	}
}

// writeAll makes dst whole or not at all.
func writeAll(dst string, r io.Reader) error {
	f, err := os.CreateTemp(filepath.Dir(dst), path.Base(dst)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = io.Copy(f, r)
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), dst)
}
