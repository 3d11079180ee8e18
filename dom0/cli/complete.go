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
	var all []string
	key, _, isSetting := strings.Cut(word, "=")
	files, _ := api.FileList.Call(s.API, api.None{})
	for _, f := range files {
		switch {
		case isSetting:
			if key == "kernel" || key == "initrd" {
				all = append(all, key+"="+f.Name)
			}
		case strings.HasPrefix(word, "boot:"):
			all = append(all, f.Name)
		case strings.HasSuffix(f.Name, ".toml"):
			all = append(all, strings.TrimPrefix(f.Name, "boot:"))
		}
	}
	if !isSetting {
		for _, k := range api.Settings() {
			all = append(all, k+"=")
		}
	}
	return all
}
