// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package cli

import (
	"strings"

	"ringo/dom0/api"
)

// Complete proposes completions of the last word of a line; see [Prompt].
func (s *Shell) Complete(line string) (from int, candidates []string) {
	from = strings.LastIndexAny(line, " \t") + 1
	word := line[from:]
	words := strings.Fields(line[:from])
	if len(words) > 0 && words[0] == "xl" {
		words = words[1:]
	}
	var all []string
	if len(words) == 0 {
		all = verbNames()
	} else if v := find(words[0]); v != nil {
		switch v.kind {
		case argVerb:
			all = verbNames()
		case argDomain:
			all = s.names()
		case argDefined:
			all = s.defined()
		case argCreate:
			all = s.settings(word)
		case argFile:
			all = s.named(word)
		case argNetwork:
			all = s.private()
		case argCard:
			all = s.cards()
		}
	}
	for _, c := range all {
		if strings.HasPrefix(c, word) {
			candidates = append(candidates, c)
		}
	}
	return from, candidates
}

// names returns the names of domains, none if they cannot be listed.
func (s *Shell) names() []string {
	all, _ := api.DomainList.Call(s.API, api.None{})
	return each(all, func(d api.Domain) string { return d.Name })
}

// defined returns the names of what is defined, none if that cannot be listed.
func (s *Shell) defined() []string {
	all, _ := api.DomainDefined.Call(s.API, api.None{})
	return each(all, func(d api.Defined) string { return d.Name })
}

func each[T any](all []T, name func(T) string) (names []string) {
	for _, v := range all {
		names = append(names, name(v))
	}
	return names
}

// settings returns what create may be followed by: files, keys, and files as
// values of the keys that take one.
func (s *Shell) settings(word string) []string {
	if key, value, ok := strings.Cut(word, "="); ok {
		var all []string
		switch key {
		case "kernel", "initrd":
			all = s.named(value)
		case "nic":
			all = each(s.lans(), func(n api.LAN) string { return n.Name })
		}
		for i := range all {
			all[i] = key + "=" + all[i]
		}
		return all
	}
	var all []string
	for _, name := range s.named(word) {
		if strings.Contains(word, ":") {
			all = append(all, name)
		} else if strings.HasSuffix(name, ".toml") {
			all = append(all, strings.TrimPrefix(name, "boot:"))
		}
	}
	for _, k := range api.Settings() {
		all = append(all, k+"=")
	}
	return all
}
