// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package lint

import (
	"fmt"
	"go/ast"
	"path"
	"strings"
)

// packageDoc wants one package comment that starts as go doc shows it.
func packageDoc(p *Package) []string {
	name := p.Files[0].Go.Name.Name
	want := "Package " + name + " "
	if name == "main" {
		base := path.Base(p.Dir)
		want = strings.ToUpper(base[:1]) + base[1:] + " "
	}
	for _, f := range p.Files {
		text := f.Go.Doc.Text()
		if strings.HasPrefix(text, want) || name == "main" && strings.HasPrefix(text, "Command "+path.Base(p.Dir)+" ") {
			return nil
		}
	}
	return []string{fmt.Sprintf("%s: no package comment \"%s...\"", p.Dir, want)}
}

// exported wants a comment on every exported name. In a group of declarations
// the group's comment, or one further up in the group, will do, and so does the
// type of an enumeration.
func exported(f *File) []string {
	if f.Go == nil || f.isTest() || f.Go.Name.Name == "main" {
		return nil
	}
	var bad []string
	for _, d := range f.Go.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Doc == nil && d.Name.IsExported() && exportedReceiver(d) && !selfExplaining[d.Name.Name] {
				bad = append(bad, f.at(d.Pos(), "exported %s has no comment", d.Name.Name))
			}
		case *ast.GenDecl:
			bad = append(bad, f.exportedSpecs(d)...)
		}
	}
	return bad
}

// selfExplaining are methods whose interface says everything.
var selfExplaining = map[string]bool{
	"Error": true, "String": true, "Len": true, "Less": true, "Swap": true,
	"Read": true, "Write": true, "Close": true, "Unwrap": true,
}

func (f *File) exportedSpecs(d *ast.GenDecl) []string {
	var bad []string
	told := d.Doc != nil
	for _, s := range d.Specs {
		switch s := s.(type) {
		case *ast.TypeSpec:
			if s.Name.IsExported() && s.Doc == nil && d.Doc == nil && s.Comment == nil {
				bad = append(bad, f.at(s.Pos(), "exported type %s has no comment", s.Name.Name))
			}
		case *ast.ValueSpec:
			told = told || s.Doc != nil || s.Type != nil // the type says what they are
			for _, n := range s.Names {
				if n.IsExported() && s.Comment == nil && !told {
					bad = append(bad, f.at(n.Pos(), "exported %s has no comment, nor its group", n.Name))
				}
			}
		}
	}
	return bad
}

// exportedReceiver reports functions, and methods of exported types.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	t := d.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return false
		}
	}
}

// maxSeam bounds the methods of the two interfaces between the hypervisor and
// its backends, so that features become data instead. The last one is Snapshot:
// seven calls of Get and Segment made a third of the cost of an emulated access.
const maxSeam = 17

// seam counts the methods of hv/vcpu.Backend and VCPU.
func seam(p *Package) []string {
	if p.Dir != "hv/vcpu" {
		return nil
	}
	n, found := 0, 0
	for _, f := range p.Files {
		ast.Inspect(f.Go, func(node ast.Node) bool {
			s, ok := node.(*ast.TypeSpec)
			if !ok || s.Name.Name != "Backend" && s.Name.Name != "VCPU" {
				return true
			}
			if i, ok := s.Type.(*ast.InterfaceType); ok {
				found++
				n += methods(i)
			}
			return false
		})
	}
	switch {
	case found != 2:
		return []string{p.Dir + ": the interfaces Backend and VCPU are not there"}
	case n > maxSeam:
		return []string{fmt.Sprintf("%s: Backend and VCPU have %d methods, at most %d", p.Dir, n, maxSeam)}
	}
	return nil
}

func methods(i *ast.InterfaceType) int {
	n := 0
	for _, m := range i.Methods.List {
		n += max(1, len(m.Names))
	}
	return n
}
