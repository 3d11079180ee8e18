// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package demo

import (
	"archive/tar"
	"bytes"
	"io"
	"path"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/dom0/config"
)

// dom0 takes the server's configuration.
func TestServerConfig(t *testing.T) {
	c, err := config.Parse("server.toml", []byte(ServerConfig("vd3")))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]config.Disk{{Device: "vd3", Serial: "server"}}, c.Disk); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]config.NIC{{Network: "default"}}, c.NIC); diff != "" {
		t.Error(diff)
	}
}

func TestOverlay(t *testing.T) {
	b, err := overlay()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for r := tar.NewReader(bytes.NewReader(b)); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := got[h.Name]; ok || path.Clean(h.Name) != h.Name {
			t.Errorf("%s", h.Name)
		}
		got[h.Name] = string(text)
		if h.Typeflag == tar.TypeSymlink {
			got[h.Name] = "->" + h.Linkname
		}
	}
	for name, want := range map[string]string{
		"etc/hostname":                          "server\n",
		"etc/machine-id":                        "",
		"etc/systemd/system/getty@tty1.service": "->/dev/null",
		"etc/systemd/network/10-card.network":   serverFiles[6].text,
		"etc/resolv.conf":                       "->../run/systemd/resolve/stub-resolv.conf",
	} {
		if text, ok := got[name]; !ok || text != want {
			t.Errorf("%s: %q, want %q", name, text, want)
		}
	}
	if len(got) != len(serverFiles)+len(serverMasked) {
		t.Errorf("%d files", len(got))
	}
}
