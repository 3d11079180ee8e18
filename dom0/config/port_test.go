// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPorts(t *testing.T) {
	long := strings.Repeat("x", 64)
	for _, c := range []struct{ text, err string }{
		{"[[port]]\nname = \"\"", `port 1: name: missing: give name = "org.qemu.guest_agent.0" or another one`},
		{"[[port]]\n", `port 1: name: missing: give name = "org.qemu.guest_agent.0" or another one`},
		{"[[port]]\nname = \"a/b\"", `port 1: name: "a/b" is not a name: use 1 to 63 of a-z, A-Z, 0-9, -, _ and ., and begin with a letter`},
		{"[[port]]\nname = \"..\"", `port 1: name: ".." is not a name: use 1 to 63 of a-z, A-Z, 0-9, -, _ and ., and begin with a letter`},
		{"[[port]]\nname = \"" + long + "\"", `port 1: name: "` + long + `" is not a name: use 1 to 63 of a-z, A-Z, 0-9, -, _ and ., and begin with a letter`},
		{"[[port]]\nname = \"hvc\"", `port 1: name: "hvc" is taken: use another one`},
		{"[[port]]\nname = \"a\"\n[[port]]\nname = \"a\"", `port 2: name: "a" is taken: use another one`},
		{strings.Repeat("[[port]]\n", 5), `port: 5 are too many: at most 4`},
		{"hvc = true\n[[port]]\nname = \"org.qemu.guest_agent.0\"\n[[port]]\nname = \"b_2\"", ""},
	} {
		cfg, err := Parse("a.toml", []byte(c.text))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if err := cfg.Validate(); err != nil {
			got = err.Error()
		}
		if got != c.err {
			t.Errorf("%q: %q, want %q", c.text, got, c.err)
		}
	}
	cfg := Default()
	if d := cmp.Diff([]string{"serial"}, cfg.Consoles()); d != "" {
		t.Error(d)
	}
	for _, s := range [][2]string{{"hvc", "true"}, {"port", "agent"}, {"port", "b"}} {
		if err := cfg.Set(s[0], s[1]); err != nil {
			t.Error(err)
		}
	}
	if d := cmp.Diff([]string{"serial", "hvc", "agent", "b"}, cfg.Consoles()); d != "" {
		t.Error(d)
	}
}
