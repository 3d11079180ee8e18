// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package lattice holds the import rules of this module and checks the source
// tree against them.
package lattice

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// module is this module's name.
const module = "ringo"

// rule is what the packages that match pkg may import: lists of patterns,
// separated by spaces.
type rule struct {
	pkg, ours, std, mods string
}

// Imports are the imports of a package's code without its tests, by package
// (its folder below the module's, "." for the module's own).
type Imports map[string][]string

// Scan reads the imports of every package below root, whatever its build tags.
func Scan(root string) (Imports, error) {
	all := Imports{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if n := d.Name(); name != root && (n == "build" || n == "testdata" || n[0] == '.' || n[0] == '_') {
				return filepath.SkipDir
			}
			if _, err := os.Stat(filepath.Join(name, "go.mod")); err == nil && name != root {
				return filepath.SkipDir // another module
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		rel, err := filepath.Rel(root, filepath.Dir(name))
		if err != nil {
			return err
		}
		pkg := filepath.ToSlash(rel)
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		all[pkg] = slices.Grow(all[pkg], 0)
		for _, s := range f.Imports {
			p, err := strconv.Unquote(s.Path.Value)
			if err != nil {
				return err
			}
			if !slices.Contains(all[pkg], p) {
				all[pkg] = append(all[pkg], p)
			}
		}
		return nil
	})
	return all, err
}

// Check returns a line for each import that the rules forbid, sorted.
func Check(all Imports) []string { return check(all, rules) }

func check(all Imports, rules []rule) []string {
	var bad []string
	for pkg, imports := range all {
		ruled := pkg
		if isFake(pkg) {
			ruled = path.Dir(pkg)
		}
		i := slices.IndexFunc(rules, func(r rule) bool { return match(r.pkg, ruled) })
		if i < 0 {
			bad = append(bad, fmt.Sprintf("%s: no rule in tests/lattice/rules.go", pkg))
			continue
		}
		for _, imp := range imports {
			if !allowed(rules[i], pkg, imp) {
				bad = append(bad, fmt.Sprintf("%s imports %s", pkg, imp))
			}
		}
	}
	slices.Sort(bad)
	return bad
}

// allowed reports whether r lets pkg import imp.
func allowed(r rule, pkg, imp string) bool {
	ours, ok := strings.CutPrefix(imp, module+"/")
	fake := isFake(pkg)
	switch {
	case ok && isFake(ours):
		return fake || strings.HasPrefix(pkg, "tests/")
	case ok && fake && ours == path.Dir(pkg):
		return true // a fake serves the package above it
	case ok:
		return matchAny(r.ours, ours) || fake && matchAny(fakes.ours, ours)
	case !strings.Contains(strings.Split(imp, "/")[0], "."):
		return matchAny(r.std, imp) || fake && matchAny(fakes.std, imp)
	}
	return below(r.mods, imp) || fake && below(fakes.mods, imp)
}

// isFake reports whether pkg is a package of fakes: phystest, vcputest.
func isFake(pkg string) bool { return strings.HasSuffix(path.Base(pkg), "test") }

// match reports whether a pattern matches a package.
func match(pattern, pkg string) bool {
	if pattern == any {
		return true
	}
	if dir, ok := strings.CutSuffix(pattern, "/..."); ok {
		return pkg == dir || strings.HasPrefix(pkg, dir+"/")
	}
	return pattern == pkg
}

func matchAny(patterns, pkg string) bool {
	return slices.ContainsFunc(strings.Fields(patterns), func(p string) bool { return match(p, pkg) })
}

// below reports whether imp is in one of the modules.
func below(mods, imp string) bool {
	return slices.ContainsFunc(strings.Fields(mods), func(m string) bool { return match(m, imp) || match(m+"/...", imp) })
}
