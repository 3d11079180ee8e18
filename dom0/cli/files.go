// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package cli

import (
	"fmt"
	"strconv"
	"strings"

	"ringo/dom0/api"
)

// fileList is the verb files.
func fileList(c *call) error {
	folder := ""
	if len(c.args) > 0 {
		folder = c.args[0]
	}
	list, err := api.FileList.Call(c.API, api.Folder{Name: folder})
	if err != nil {
		return err
	}
	if len(list) == 0 {
		switch folder {
		case "":
			c.printf("no boot modules were loaded\n")
		case "disk:":
			c.printf("there are no disks that can be read\n")
		default:
			c.printf("the folder is empty\n")
		}
		return nil
	}
	width := len("Name")
	for _, f := range list {
		width = max(width, len(last(f.Name)))
	}
	c.printf("%-*s %12s  %s\n", width, "Name", "Size", "Use as")
	for _, f := range list {
		size := strconv.FormatInt(f.Size, 10)
		if strings.HasSuffix(f.Name, "/") && f.Size == 0 {
			size = "-"
		}
		line := fmt.Sprintf("%-*s %12s  %s  %s", width, last(f.Name), size, quoted(f.Name), f.Note)
		c.printf("%s\n", strings.TrimRight(line, " "))
	}
	return nil
}

// last is the last part of a file's name, of a folder with its slash.
func last(name string) string {
	at := strings.LastIndexByte(strings.TrimSuffix(name, "/"), '/')
	if at < 0 {
		at = strings.IndexByte(name, ':')
	}
	return quoted(name[at+1:])
}

// quoted is a name that may be printed: those on disks may hold anything.
func quoted(s string) string {
	if q := strconv.Quote(s); q[1:len(q)-1] != s {
		return q
	}
	return s
}

// named completes the name of a file: boot modules, and what is in the folder that it
// has got to. Names that a line cannot hold as they are, are left out.
func (s *Shell) named(word string) (all []string) {
	folder := ""
	switch at := strings.LastIndexByte(word, '/'); {
	case at >= 0:
		folder = word[:at+1]
	case strings.HasPrefix(word, "disk:"):
		folder = "disk:"
	}
	list, _ := api.FileList.Call(s.API, api.Folder{Name: folder})
	for _, f := range list {
		if quoted(f.Name) == f.Name && !strings.ContainsAny(f.Name, " \t'") {
			all = append(all, f.Name)
		}
	}
	return all
}
