// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package domain

import (
	"strings"

	"ringo/dom0/loader"
)

// configs are files and some more.
type configs struct {
	Files
	text map[string]string
}

func (c configs) Open(name string) (loader.Source, error) {
	if s, ok := c.text[name]; ok {
		return loader.Source{Name: name, R: strings.NewReader(s), Size: int64(len(s))}, nil
	}
	return c.Files.Open(name)
}
