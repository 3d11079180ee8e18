// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package files

import (
	"strings"

	"ringo/dom0/loader"
	"ringo/dom0/problem"
)

// isURL says that a name is that of a file on a server.
func isURL(name string) bool {
	return strings.HasPrefix(name, "http://") || strings.HasPrefix(name, "https://")
}

// url opens a file on a server.
func (f *Files) url(name string) (loader.Source, error) {
	if f.o.Web == nil {
		return loader.Source{}, problem.New(problem.Unsupported, "put it among the boot modules, or on a disk", "there is no network for %q", name)
	}
	r, size, err := f.o.Web(name)
	if err != nil {
		return loader.Source{}, problem.New(problem.Refused, "", "%q %v", name, err)
	}
	return loader.Source{Name: name, R: content{r}, Size: size}, nil
}
