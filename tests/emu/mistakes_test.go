// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"os"
	"path/filepath"
	"testing"

	"ringo/tools/emu"
)

// file writes a boot module for this test.
func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestMistakes makes each mistake that a user makes with create: one line says
// what to do, and nothing is left behind.
func TestMistakes(t *testing.T) {
	t.Parallel()
	half, err := os.ReadFile(built.Kernel)
	if err != nil {
		t.Fatal(err)
	}
	initrd, err := os.ReadFile(built.Initrd)
	if err != nil {
		t.Fatal(err)
	}
	toml := "name = \"bad\"\nmemory = \"64MiB\"\n[boot]\nkernel = \"boot:vmlinux.lz4\"\n"
	h := boot(t, emu.Config{MemMiB: 1024, Modules: modules(
		file(t, "half.img", string(half[:len(half)/2])),
		file(t, "noise.img", string(garbage(make([]byte, 1<<20)))),
		file(t, "empty.img", ""),
		file(t, "typo.toml", "name = \"bad\"\nmemroy = \"64MiB\"\n"),
		file(t, "syntax.toml", "name = \"bad\nvcpus = 1\n"),
		file(t, "range.toml", toml+"vcpus = 0\n"),
		file(t, "huge.gz", string(initrd)),
	)})
	free := h.free()
	for _, c := range []struct {
		line  string
		texts []string
	}{
		{"create nothing.toml", []string{"nothing.toml"}},
		{"create typo.toml", []string{"typo.toml", "2", "memroy", "memory"}},
		{"create syntax.toml", []string{"syntax.toml", "1"}},
		{"create range.toml", []string{"range.toml"}},
		{"create name=bad memory=64MiB", []string{"kernel"}},
		{"create name=Bad_Name kernel=boot:vmlinuz memory=64MiB", []string{"name", "a-z"}},
		{"create name=bad kernel=boot:vmlinus memory=64MiB", []string{"vmlinus", "vmlinu"}},
		{"create name=bad kernel=boot:half.img memory=128MiB", []string{"half.img"}},
		{"create name=bad kernel=boot:noise.img memory=128MiB", []string{"noise.img"}},
		{"create name=bad kernel=boot:empty.img memory=128MiB", []string{"empty.img"}},
		{"create name=bad kernel=boot:vmlinux.lz4 initrd=boot:none.gz memory=128MiB", []string{"none.gz"}},
		{"create name=bad kernel=boot:vmlinux.lz4 memory=8MiB", []string{"memory"}},
		{"create name=bad kernel=boot:vmlinux.lz4 memory=64GiB", []string{"not enough memory", "free"}},
		{"create name=bad kernel=boot:vmlinux.lz4 memory=lots", []string{"memory"}},
		{"create name=bad kernel=boot:vmlinux.lz4 memory=64MiB vcpus=99", []string{"vcpus"}},
		{"create name=bad kernel=boot:vmlinux.lz4 colour=red", []string{"colour"}},
	} {
		h.fails(c.line, c.texts...)
		if got := h.free(); got != free {
			t.Errorf("%s: free memory %d, %d before", c.line, got, free)
			free = got
		}
	}
	if rows := h.list(); len(rows) != 1 {
		t.Errorf("left behind: %+v", rows)
	}
	h.ok(linux("bad"))
	h.fails(linux("bad"), `"bad"`, "exists")
	h.fails("create name=two kernel=boot:vmlinux.lz4 memory=900MiB", "not enough memory", `"bad"`)
	h.ok("destroy bad")
	h.poweroff()
}
