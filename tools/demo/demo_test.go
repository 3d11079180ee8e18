// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package demo

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pelletier/go-toml/v2"
)

func TestConfigIsTOML(t *testing.T) {
	var got map[string]any
	if err := toml.Unmarshal([]byte(Config), &got); err != nil {
		t.Fatal(err)
	}
	if got["name"] != "demo" {
		t.Errorf("%v", got)
	}
}

func TestCompareVersions(t *testing.T) {
	want := []string{"vmlinuz-5.10.0-9", "vmlinuz-5.10.0-10", "vmlinuz-6.1.0-9-amd64", "vmlinuz-6.1.0-56-amd64", "vmlinuz-6.10.0"}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, compareVersions)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if compareVersions("a-007", "a-7") != 0 {
		t.Error("leading zeros matter")
	}
}

func TestIsLinux(t *testing.T) {
	name := filepath.Join(t.TempDir(), "k")
	b := make([]byte, 0x400)
	for _, c := range []struct {
		change func()
		ok     bool
	}{
		{func() {}, false},
		{func() { copy(b[0x202:], "HdrS"); b[0x1fe], b[0x1ff] = 0x55, 0xaa }, true},
		{func() { b = b[:0x200] }, false},
	} {
		c.change()
		if err := os.WriteFile(name, b, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := isLinux(name); (err == nil) != c.ok {
			t.Errorf("%d bytes: %v", len(b), err)
		}
	}
}

func TestRefresh(t *testing.T) {
	dir := t.TempDir()
	src, dst := filepath.Join(dir, "src"), filepath.Join(dir, "dst")
	for i, text := range []string{"one", "two"} {
		if err := os.WriteFile(src, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		when := time.Unix(int64(1000+i), 0)
		if err := os.Chtimes(src, when, when); err != nil {
			t.Fatal(err)
		}
		if err := refresh(dst, src); err != nil {
			t.Fatal(err)
		}
		if b, _ := os.ReadFile(dst); string(b) != text {
			t.Errorf("%q, want %q", b, text)
		}
	}
	// Same time and size: nothing to do.
	if err := os.WriteFile(dst, []byte("mod"), 0o644); err != nil {
		t.Fatal(err)
	}
	st, _ := os.Stat(src)
	os.Chtimes(dst, st.ModTime(), st.ModTime())
	if err := refresh(dst, src); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(dst); string(b) != "mod" {
		t.Errorf("copied without need: %q", b)
	}
}
