// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package lint

import (
	"go/ast"
	"go/token"
	"regexp"
	"strconv"
	"strings"
)

// maxFunc is the length in lines beyond which a function must be cut; one
// screen (60) is the aim.
const maxFunc = 80

// longFuncs are the exceptions, "file:function", each with its reason.
var longFuncs = map[string]string{}

// functions bounds the length of functions outside tests.
func functions(f *File) []string {
	if f.Go == nil || f.isTest() || f.generated() {
		return nil
	}
	var bad []string
	for _, d := range f.Go.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Body == nil || longFuncs[f.Name+":"+fn.Name.Name] != "" {
			continue
		}
		n := f.Set.Position(fn.Body.Rbrace).Line - f.Set.Position(fn.Pos()).Line + 1
		if n > maxFunc {
			bad = append(bad, f.at(fn.Pos(), "function %s has %d lines, at most %d", fn.Name.Name, n, maxFunc))
		}
	}
	return bad
}

// layoutOnly are the parts of unsafe that read no memory.
var layoutOnly = map[string]bool{"Sizeof": true, "Offsetof": true, "Alignof": true}

// unsafeUse wants unsafe in files named _unsafe.go only (and in the kernel
// layer and tests), and there a SAFETY line in every declaration that uses it.
func unsafeUse(f *File) []string {
	if f.Go == nil || f.isTest() || f.in("boot/kernel") {
		return nil
	}
	here := strings.HasSuffix(f.Name, "_unsafe.go")
	var bad []string
	for _, d := range f.Go.Decls {
		use := token.NoPos
		ast.Inspect(d, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if ok && use == token.NoPos {
				if x, ok := sel.X.(*ast.Ident); ok && x.Name == "unsafe" && !layoutOnly[sel.Sel.Name] {
					use = sel.Pos()
				}
			}
			return true
		})
		switch {
		case use == token.NoPos:
		case !here:
			bad = append(bad, f.at(use, "unsafe outside a file named _unsafe.go"))
		case !f.hasSafety(d):
			bad = append(bad, f.at(use, "unsafe without a SAFETY: line in this declaration"))
		}
	}
	return bad
}

// hasSafety reports whether a comment in or right above d says why it is safe.
func (f *File) hasSafety(d ast.Decl) bool {
	from, to := d.Pos(), d.End()
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Doc != nil {
			from = d.Doc.Pos()
		}
	case *ast.GenDecl:
		if d.Doc != nil {
			from = d.Doc.Pos()
		}
	}
	for _, g := range f.Go.Comments {
		if g.Pos() >= from && g.Pos() <= to && strings.Contains(g.Text(), "SAFETY: ") {
			return true
		}
	}
	return false
}

// linknames keeps reaching into other packages to the kernel layer.
func linknames(f *File) []string {
	if f.Go == nil || f.isTest() || f.in("boot/kernel") {
		return nil
	}
	var bad []string
	for _, g := range f.Go.Comments {
		for _, c := range g.List {
			if strings.HasPrefix(c.Text, "//go:linkname ") {
				bad = append(bad, f.at(c.Pos(), "go:linkname outside boot/kernel"))
			}
		}
	}
	return bad
}

// backendWord matches the names of the two ways of running guests in an
// identifier, but not in a word that only contains the letters.
var backendWord = regexp.MustCompile(`(?i:(^|_)(svm|vmx))|SVM([^E]|$)|VMX|Svm|Vmx`)

// backendWords keeps the backends' names to themselves and to hv's main; the
// vocabulary of the manuals in hv/x86 may say them.
func backendWords(f *File) []string {
	if f.Go == nil || f.isTest() || !f.in("hv", "mm", "boot", "dom0", "drivers") ||
		f.in("hv/x86", "hv/insn") || strings.HasPrefix(f.Name, "hv/") && strings.Count(f.Name, "/") == 1 {
		return nil
	}
	var bad []string
	ast.Inspect(f.Go, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && backendWord.MatchString(id.Name) {
			bad = append(bad, f.at(id.Pos(), "%s names a backend", id.Name))
		}
		return true
	})
	for _, s := range f.Go.Imports {
		if p, err := strconv.Unquote(s.Path.Value); err == nil && (p == "ringo/svm" || p == "ringo/vmx") {
			bad = append(bad, f.at(s.Pos(), "import of %s", p))
		}
	}
	return bad
}

// panics wants constant texts in the core: a broken invariant must be reported
// without allocating or formatting.
func panics(f *File) []string {
	if f.Go == nil || f.isTest() || !f.in("hv", "mm", "boot", "svm", "vmx") || strings.Contains(f.Name, "test/") {
		return nil
	}
	var bad []string
	ast.Inspect(f.Go, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) != 1 {
			return true
		}
		if fn, ok := call.Fun.(*ast.Ident); ok && fn.Name == "panic" && !isConstText(call.Args[0]) {
			bad = append(bad, f.at(call.Pos(), "panic with something else than a constant text"))
		}
		return true
	})
	return bad
}

// isConstText reports literals, sums of literals, and names (of constants or
// of values that somebody else made).
func isConstText(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit:
		return e.Kind == token.STRING
	case *ast.BinaryExpr:
		return isConstText(e.X) && isConstText(e.Y)
	case *ast.Ident, *ast.SelectorExpr:
		return true
	}
	return false
}
