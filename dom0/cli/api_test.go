// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package cli

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// parse reads the files of a package, without its tests.
func parse(t *testing.T, dir string) (files []*ast.File) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range paths {
		if strings.HasSuffix(p, "_test.go") {
			continue
		}
		src, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		f, err := parser.ParseFile(token.NewFileSet(), p, src, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

// Every verb of the interface has a command.
func TestEveryVerbHasACommand(t *testing.T) {
	used := map[string]bool{}
	for _, f := range parse(t, ".") {
		ast.Inspect(f, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok && x.Name == "api" {
					used[s.Sel.Name] = true
				}
			}
			return true
		})
	}
	verbs := 0
	for _, f := range parse(t, "../api") {
		ast.Inspect(f, func(n ast.Node) bool {
			v, ok := n.(*ast.ValueSpec)
			if !ok || len(v.Values) != 1 {
				return true
			}
			if c, ok := v.Values[0].(*ast.CallExpr); ok {
				if name, ok := c.Fun.(*ast.Ident); ok && (name.Name == "add" || name.Name == "act") {
					verbs++
					if !used[v.Names[0].Name] {
						t.Errorf("no command uses api.%s", v.Names[0].Name)
					}
				}
			}
			return true
		})
	}
	if verbs < 15 {
		t.Errorf("only %d verbs found", verbs)
	}
}
