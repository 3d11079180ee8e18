// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package lint checks the source tree for the rules of CONTRIBUTING.md that a
// program can check. Each check is a function of one file or one package, with
// a test that shows it what it must find.
package lint

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// File is one text file of the tree.
type File struct {
	Name string // with slashes, below the root
	Text string
	// Go and Set are the syntax of a Go file.
	Go  *ast.File
	Set *token.FileSet
}

// Package is the Go files of one folder with one package name.
type Package struct {
	Dir   string
	Files []*File
}

// fileChecks, packageChecks and treeChecks are all the rules. A check returns lines
// "place: what is wrong".
var (
	fileChecks    = []func(*File) []string{header, length, words, functions, unsafeUse, linknames, backendWords, panics, exported, hostOnly}
	packageChecks = []func(*Package) []string{packageDoc, seam}
	treeChecks    = []func([]*File) []string{lineBudgets, unused}
)

// Tree runs every check on the files below root and returns sorted problems.
func Tree(root string) ([]string, error) {
	files, err := load(root)
	if err != nil {
		return nil, err
	}
	var bad []string
	pkgs := map[string]*Package{}
	for _, f := range files {
		for _, check := range fileChecks {
			bad = append(bad, check(f)...)
		}
		if f.Go == nil || f.isTest() {
			continue
		}
		dir := path.Dir(f.Name)
		if pkgs[dir] == nil {
			pkgs[dir] = &Package{Dir: dir}
		}
		pkgs[dir].Files = append(pkgs[dir].Files, f)
	}
	for _, p := range pkgs {
		for _, check := range packageChecks {
			bad = append(bad, check(p)...)
		}
	}
	for _, check := range treeChecks {
		bad = append(bad, check(files)...)
	}
	slices.Sort(bad)
	return bad, nil
}

// load reads the text files below root, but not what is generated or recorded.
func load(root string) ([]*File, error) {
	var files []*File
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if n := d.Name(); rel != "." && (n == "build" || n == "testdata" || n == ".git") {
				return filepath.SkipDir
			}
			return nil
		}
		if !isText(d.Name()) || !d.Type().IsRegular() {
			return nil
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		f, err := parse(filepath.ToSlash(rel), string(b))
		if err != nil {
			return err
		}
		files = append(files, f)
		return nil
	})
	return files, err
}

func isText(name string) bool {
	switch path.Ext(name) {
	case ".go", ".s", ".h", ".S", ".md", ".toml", ".mk", ".sh":
		return true
	}
	return name == "Makefile" || name == "run"
}

func parse(name, text string) (*File, error) {
	f := &File{Name: name, Text: text}
	if !strings.HasSuffix(name, ".go") {
		return f, nil
	}
	var err error
	f.Set = token.NewFileSet()
	f.Go, err = parser.ParseFile(f.Set, name, text, parser.ParseComments|parser.SkipObjectResolution)
	return f, err
}

func (f *File) isTest() bool { return strings.HasSuffix(f.Name, "_test.go") }

// generated reports the mark of generated code (go help generate).
func (f *File) generated() bool { return f.Go != nil && ast.IsGenerated(f.Go) }

// in reports whether the file lies in one of the folders or below.
func (f *File) in(dirs ...string) bool {
	return slices.ContainsFunc(dirs, func(d string) bool { return strings.HasPrefix(f.Name, d+"/") })
}

// at is one problem at a place of the syntax.
func (f *File) at(p token.Pos, format string, args ...any) string {
	return fmt.Sprintf("%s:%d: %s", f.Name, f.Set.Position(p).Line, fmt.Sprintf(format, args...))
}
