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
	"slices"
	"strings"
)

// File is a file of a package: the first whose path matches Pattern is unpacked
// as Dst.
type File struct{ Pattern, Dst string }

// Fetch downloads a package and unpacks files of it. Nothing is installed, and no
// root is needed once the package lists are there. A package without files of its
// own stands for the first package it depends on.
func Fetch(log io.Writer, pkg string, files ...File) error {
	return FetchFor(log, "", pkg, files...)
}

// FetchFor is Fetch for an architecture that need not be one of this machine, by
// Debian's name. It gets that one's package lists, for this once.
func FetchFor(log io.Writer, arch, pkg string, files ...File) error {
	dir, err := os.MkdirTemp(filepath.Dir(files[0].Dst), "fetch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Fprintf(log, "fetching %s from the Debian package %s\n", path.Base(files[0].Pattern), pkg)
	var foreign []string
	if arch != "" {
		if foreign, err = lists(log, dir, arch); err != nil {
			return err
		}
	}
	deb, err := download(log, pkg, dir, foreign)
	if err != nil {
		return fmt.Errorf("%w; or install it:\n    %s", err, Command([]string{pkg}))
	}
	err = extract(deb, files)
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	dep, derr := dependency(pkg, foreign)
	if derr != nil {
		return errors.Join(err, derr)
	}
	if deb, err = download(log, dep, dir, foreign); err != nil {
		return err
	}
	return extract(deb, files)
}

// lists gets the package lists of an architecture below dir, and returns the
// options with which apt's programs use them.
func lists(log io.Writer, dir, arch string) ([]string, error) {
	at := filepath.Join(dir, "lists")
	cache := filepath.Join(dir, "cache")
	for _, d := range []string{filepath.Join(at, "partial"), filepath.Join(cache, "archives", "partial")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, err
		}
	}
	options := []string{
		"-o", "APT::Architecture=" + arch, "-o", "APT::Architectures=" + arch,
		"-o", "Dir::State::lists=" + at, "-o", "Dir::Cache=" + cache,
	}
	if err := apt(log, "", append([]string{"update"}, options...)...); err != nil {
		fmt.Fprintf(log, "%v; going on with what came\n", err)
	}
	return options, nil
}

// download gets a package file and returns its name. foreign is what lists
// returned.
func download(log io.Writer, pkg, dir string, foreign []string) (string, error) {
	get := append([]string{"download", pkg}, foreign...)
	err := apt(log, dir, get...)
	if err != nil && foreign == nil && os.Geteuid() == 0 {
		// Fresh machines have no package lists.
		if err = apt(log, "", "update"); err == nil {
			err = apt(log, dir, get...)
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
func dependency(pkg string, foreign []string) (string, error) {
	args := append([]string{"depends", "--no-recommends", "--no-suggests", pkg}, foreign...)
	out, err := exec.Command("apt-cache", args...).Output()
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

// extract writes files of deb; the error is os.ErrNotExist if one is not there.
func extract(deb string, files []File) error {
	cmd := exec.Command("dpkg-deb", "--fsys-tarfile", deb)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	err = untar(out, files)
	io.Copy(io.Discard, out) // so that dpkg-deb can end well
	return errors.Join(err, cmd.Wait())
}

// untar writes the first regular file of the archive r that matches, for each of
// files.
func untar(r io.Reader, files []File) error {
	files = slices.Clone(files)
	t := tar.NewReader(r)
	for len(files) > 0 {
		h, err := t.Next()
		if err == io.EOF {
			return fmt.Errorf("no %s in the package: %w", files[0].Pattern, os.ErrNotExist)
		}
		if err != nil {
			return err
		}
		i := slices.IndexFunc(files, func(f File) bool {
			ok, _ := path.Match(f.Pattern, path.Clean("/"+h.Name))
			return ok && h.Typeflag == tar.TypeReg
		})
		if i < 0 {
			continue
		}
		if err := writeAll(files[i].Dst, t); err != nil {
			return err
		}
		files = slices.Delete(files, i, i+1)
	}
	return nil
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
