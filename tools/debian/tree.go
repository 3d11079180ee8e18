// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package debian

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// Suite is Debian's release of which Image installs packages.
const Suite = "bookworm"

// Disk is what Image makes.
type Disk struct {
	Packages []string
	// Without are patterns of dpkg's path-exclude: what is not unpacked.
	Without []string
	// Overlay is a tar archive of files that are put over those of the packages.
	Overlay []byte
	Size    int64 // of the whole disk, in bytes: whole MiB
}

// Where the one partition lies, in bytes: a MiB at the end is left to the backup of the
// partition table.
const (
	mib       = 1 << 20
	rootStart = mib
)

// rootType is the type of a partition with the root file system for x86-64 (UAPI group,
// "Discoverable Partitions Specification", "Defined Partition Type UUIDs").
const rootType = "4f68bce3-e8cd-4db1-96e7-fbcaf984b709"

// RootPartition returns where the partition lies on a disk of so many bytes.
func RootPartition(size int64) (start, length int64) { return rootStart, size - rootStart - mib }

// Image installs packages with all that they depend on, and makes a disk of them: one
// ext4 file system in a GPT. The superuser has no password, and time to log in. As root it takes mmdebstrap;
// else that needs subordinate user IDs, or fakechroot.
func Image(log io.Writer, dst string, d Disk) error {
	dir, err := os.MkdirTemp(filepath.Dir(dst), "image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	tree, overlay, disk := filepath.Join(dir, "root.tar"), filepath.Join(dir, "overlay.tar"), filepath.Join(dir, "disk.img")
	if err := os.WriteFile(overlay, d.Overlay, 0o644); err != nil {
		return err
	}
	fmt.Fprintf(log, "installing Debian %s into %s, once; this takes minutes\n", Suite, dst)
	args := []string{"--quiet", "--variant=custom", "--include=" + strings.Join(d.Packages, ","),
		`--customize-hook=sed -i 's/^root:[^:]*:/root::/' "$1/etc/shadow"`,
		`--customize-hook=sed -i 's/^LOGIN_TIMEOUT.*/LOGIN_TIMEOUT 0/' "$1/etc/login.defs"`}
	for _, w := range d.Without {
		args = append(args, "--dpkgopt=path-exclude="+w)
	}
	if err := command(log, nil, "mmdebstrap", append(args, Suite, tree)...); err != nil {
		return err
	}
	if err := partition(log, disk, d.Size); err != nil {
		return err
	}
	start, length := RootPartition(d.Size)
	// One shell, because fakeroot remembers owners for as long as its command runs.
	const script = `set -e
mkdir tree
tar -C tree --numeric-owner -xpf "$1"
tar -C tree --numeric-owner -xpf "$2"
PATH=$PATH:/sbin:/usr/sbin mke2fs -q -t ext4 -m 0 -J size=8 -L root -d tree -E offset="$3" "$4" "$5"k`
	shell := []string{"sh", "-c", `cd "$0" && ` + script, dir, tree, overlay,
		strconv.FormatInt(start, 10), disk, strconv.FormatInt(length>>10, 10)}
	if os.Geteuid() != 0 {
		shell = append([]string{"fakeroot"}, shell...)
	}
	if err := command(log, nil, shell[0], shell[1:]...); err != nil {
		return err
	}
	return os.Rename(disk, dst)
}

// partition makes an empty file of so many bytes, with the partition table.
func partition(log io.Writer, name string, size int64) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
		return err
	}
	start, length := RootPartition(size)
	table := fmt.Sprintf("label: gpt\nstart=%d, size=%d, type=%s, name=root\n", start/512, length/512, rootType)
	return command(log, []byte(table), "sfdisk", "--quiet", "--no-tell-kernel", name)
}

// command runs a program, also one of those that only root usually finds.
func command(log io.Writer, in []byte, name string, args ...string) error {
	path, err := exec.LookPath(name)
	for _, dir := range []string{"/sbin", "/usr/sbin"} {
		if err != nil {
			path, err = exec.LookPath(filepath.Join(dir, name))
		}
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("there is no program %s", name)
	} else if err != nil {
		return err
	}
	cmd := exec.Command(path, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), log, log
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
