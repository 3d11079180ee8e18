// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package tree

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
)

// node is a folder with children, a link, or a file.
type node struct {
	mode     fs.FileMode
	target   string
	children map[string]*node
	many     int // so many children more
	long     int64
	looks    int
	broken   error
}

func (n *node) Info() Info                 { return Info{Mode: n.mode, Size: 5, Folder: n.long} }
func (n *node) ReadAt([]byte, int64) error { return n.broken }
func (n *node) Target() (string, error)    { return n.target, nil }

func (n *node) Each(f func(Entry) bool) error {
	n.looks++
	for name, c := range n.children {
		if !f(Entry{name, func() (Node, error) { return c, c.broken }}) {
			return nil
		}
	}
	for i := range n.many {
		if !f(Entry{fmt.Sprint("n", i), func() (Node, error) { return &node{}, nil }}) {
			return nil
		}
	}
	return n.broken
}

func dir(children map[string]*node) *node { return &node{mode: fs.ModeDir, children: children} }
func link(target string) *node            { return &node{mode: fs.ModeSymlink, target: target} }

// TestFind follows names and links, and no further than the limits.
func TestFind(t *testing.T) {
	file := &node{}
	again := dir(nil)
	again.children = map[string]*node{"d": again}
	f := &FS{Root: dir(map[string]*node{
		"File": file, "a": dir(map[string]*node{"up": link("../File"), "root": link("/a/../../File")}),
		"l": link("l"), "half": link("half2/x"), "half2": link("half"), "again": again,
		"deep": link("again" + strings.Repeat("/d", 2047)), "wide": dir(nil), "sick": {broken: errors.New("no")},
	})}
	f.Root.(*node).children["deeper"] = link("deep" + strings.Repeat("/d", 2047))
	f.Root.(*node).children["deepest"] = link("deeper" + strings.Repeat("/d", 2040))
	f.Root.(*node).children["wide"].many = 100_000
	for name, want := range map[string]error{
		"File": nil, "a/up": nil, "a/root": nil, "file": fs.ErrNotExist, "File/x": fs.ErrNotExist, "l": ErrLinks, "half": ErrLinks,
		"deep": nil, "deepest": ErrLinks, "wide/n99999": nil, "a//up": fs.ErrInvalid, "../File": fs.ErrInvalid, "sick": f.Root.(*node).children["sick"].broken,
	} {
		if _, err := f.Open(name); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
	f.Fold = true
	if _, err := f.Open("fILE"); err != nil {
		t.Error(err)
	}
	if _, err := fs.ReadDir(f, "wide"); !errors.Is(err, ErrMany) {
		t.Error(err)
	}
	if names, err := f.Names("wide"); err != nil || len(names) != maxEntries/2 {
		t.Error(len(names), err)
	}
	list, err := fs.ReadDir(f, ".")
	if err != nil || !slices.IsSortedFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) }) || len(list) != len(f.Root.(*node).children)-1 {
		t.Error(list, err)
	}
}

// TestWork: whatever links and folders are, the way to a file ends soon.
func TestWork(t *testing.T) {
	for _, c := range []struct {
		path  string // of each of forty links, to the next one
		long  int64  // of their folder
		looks int    // that the folder bears
		want  error
	}{
		{strings.Repeat("d/../", 800), 100, maxWork / nameWork, ErrWork},
		{strings.Repeat("d/../", 100), 100, 41 * 101, nil},
		{"", MaxFolder, 8, ErrWork},
		{"", MaxFolder / 8, 41, nil},
	} {
		root := dir(map[string]*node{"d": dir(nil), "l40": {}})
		root.long = c.long
		for i := range MaxLinks {
			root.children[fmt.Sprint("l", i)] = link(c.path + fmt.Sprint("l", i+1))
		}
		if _, err := (&FS{Root: root}).Open("l0"); !errors.Is(err, c.want) || root.looks > c.looks {
			t.Errorf("%.10s, %d bytes: %v, %d looks", c.path, c.long, err, root.looks)
		}
	}
}
