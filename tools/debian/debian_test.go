// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package debian

import (
	"archive/tar"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMissing(t *testing.T) {
	for _, c := range []struct {
		names []string
		there []string
		want  []string
	}{
		{[]string{"run"}, nil, []string{"qemu-system-x86"}},
		{[]string{"run"}, []string{"qemu-system-x86_64"}, nil},
		{[]string{"iso", "pxe"}, []string{"qemu-system-x86_64", "xorriso"},
			[]string{"grub-common", "grub-efi-amd64-bin", "grub-pc-bin", "ipxe-qemu", "mtools"}},
		{[]string{"uefi"}, []string{"qemu-system-x86_64", "xorriso", "grub-mkimage", "mformat", "/usr/lib/grub/i386-pc/multiboot2.mod"},
			[]string{"grub-efi-amd64-bin", "ovmf"}},
		// Any of a package's probes is enough.
		{[]string{"pxe"}, []string{"qemu-system-x86_64", "/usr/share/qemu*/pxe-virtio.rom"},
			[]string{"grub-common", "grub-efi-amd64-bin", "grub-pc-bin", "mtools", "xorriso"}},
	} {
		got, err := missing(c.names, func(p string) bool {
			for _, x := range c.there {
				if p == x {
					return true
				}
			}
			return false
		})
		if diff := cmp.Diff(c.want, got, cmp.Transformer("empty", func(s []string) []string { return append([]string{}, s...) })); diff != "" || err != nil {
			t.Errorf("%v with %v: %v %s", c.names, c.there, err, diff)
		}
	}
	if _, err := Missing("fly"); err == nil {
		t.Error("unknown task: no error")
	}
}

func TestPresent(t *testing.T) {
	if !present("sh") || present("no-such-program") || !present("/et?/passwd") || present("/no/such*") {
		t.Error("present is wrong")
	}
}

func TestParseDepends(t *testing.T) {
	got, err := parseDepends("linux-image-amd64\n  Depends: <virtual>\n  Depends: linux-image-6.1.0-56-amd64\n  Depends: other\n")
	if got != "linux-image-6.1.0-56-amd64" || err != nil {
		t.Error(got, err)
	}
	if _, err := parseDepends("busybox\n"); err == nil {
		t.Error("no dependency: no error")
	}
}

func TestUntar(t *testing.T) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range []struct{ name, text string }{
		{"./boot/config-6.1", "no"}, {"./lib/modules/6.1/a.ko", "module"}, {"./boot/vmlinuz-6.1", "kernel"},
	} {
		w.WriteHeader(&tar.Header{Name: f.name, Typeflag: tar.TypeReg, Size: int64(len(f.text)), Mode: 0o644})
		w.Write([]byte(f.text))
	}
	w.WriteHeader(&tar.Header{Name: "./boot/vmlinuz", Typeflag: tar.TypeSymlink, Linkname: "vmlinuz-6.1"})
	w.Close()
	dst := filepath.Join(t.TempDir(), "k")
	if err := untar(bytes.NewReader(b.Bytes()), []File{{"/boot/vmlinuz*", dst}, {"/lib/modules/*/a.ko", dst + ".ko"}}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{dst: "kernel", dst + ".ko": "module"} {
		if got, _ := os.ReadFile(name); string(got) != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if err := untar(bytes.NewReader(b.Bytes()), []File{{"/boot/vmlinuz*", dst}, {"/etc/*", dst}}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no match: %v", err)
	}
	if err := untar(strings.NewReader(strings.Repeat("x", 600)), []File{{"/*", dst}}); err == nil || errors.Is(err, os.ErrNotExist) {
		t.Errorf("garbage: %v", err)
	}
}
