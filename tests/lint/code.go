// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package lint

import (
	"go/ast"
	"go/token"
	"path"
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
	if f.Go == nil || f.isTest() || f.in("boot/kernel") || f.in("tests/guests/unikernel") {
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
	if f.Go == nil || f.isTest() || f.in("boot/kernel") || f.in("tests/guests/unikernel") {
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
var backendWord = regexp.MustCompile(`(?i:(^|_)(svm|vmx))|SVM|VMX|Svm|Vmx`)

// backendPackages are the packages that the words stand for.
var backendPackages = map[string]bool{"ringo/svm": true, "ringo/vmx": true}

// backendWords keeps what knows the two ways of running guests behind the seam
// hv/vcpu. The rule: outside the folders svm and vmx no Go identifier, no name
// of a file or folder says either word, in tests and tools as in the
// hypervisor. Free of the rule are
//
//   - the imports of the two packages, and their names before a dot, in a file
//     backend.go of a main package: somebody has to choose;
//   - names of control bits as the manuals have them: where hv/x86 declares
//     them, and behind "x86." everywhere;
//   - literals and comments: BACKEND=vmx is a user's choice, "svm" a CPU flag.
func backendWords(f *File) []string {
	if f.in("svm", "vmx") {
		return nil
	}
	var bad []string
	if backendWord.MatchString(strings.ReplaceAll(f.Name, "/", "_")) {
		bad = append(bad, f.Name+": the name says a backend's")
	}
	if f.Go == nil || f.in("hv/x86") {
		return bad
	}
	chooses := f.Go.Name.Name == "main" && path.Base(f.Name) == "backend.go"
	for _, s := range f.Go.Imports {
		if p, err := strconv.Unquote(s.Path.Value); err == nil && backendPackages[p] && !chooses {
			bad = append(bad, f.at(s.Pos(), "import of %s", p))
		}
	}
	ast.Inspect(f.Go, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			x, ok := n.X.(*ast.Ident)
			if ok && (x.Name == "x86" || chooses && backendPackages["ringo/"+x.Name]) {
				return false
			}
		case *ast.Ident:
			if backendWord.MatchString(n.Name) {
				bad = append(bad, f.at(n.Pos(), "%s names a backend", n.Name))
			}
		}
		return true
	})
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
