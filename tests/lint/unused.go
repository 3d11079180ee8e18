// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package lint

import (
	"go/ast"
	"go/token"
	"path"
	"slices"
	"strings"
)

// product are the folders whose exported names need a user in the product: one
// that only tests or fakes use is a promise that nobody keeps.
var product = []string{"boot", "hv", "svm", "vmx", "mm", "drivers", "dom0"}

// use is where names are mentioned by code that is neither test nor fake. It
// knows no types: a method or field counts as used wherever its name is selected.
type use struct {
	selected map[string]bool // x.Name, interface methods
	named    map[string]bool // "folder Name": unqualified, in its own package
	imported map[string]bool // "folder Name": as pkg.Name
	text     map[string]bool // names in assembly
	asserted map[string]bool // "folder Type": that it has a library's interface
}

// unused returns a line for each exported function, method, type, constant,
// variable and field of the product that only tests and fakes use.
func unused(files []*File) []string {
	u := mentions(files)
	var bad []string
	idle := map[string]bool{} // kept names without a user
	for _, f := range files {
		if f.Go == nil || f.isTest() || f.isFake() || !f.in(product...) || f.generated() {
			continue
		}
		for _, d := range f.declared() {
			name := path.Dir(f.Name) + "." + d.name
			switch {
			case u.has(path.Dir(f.Name), d):
			case kept[name] != "":
				idle[name] = true
			default:
				bad = append(bad, f.at(d.pos, "%s is used by tests only, or by nobody", d.name))
			}
		}
	}
	for name := range kept {
		if !idle[name] {
			bad = append(bad, "tests/lint/unused.go: "+name+" needs no exception")
		}
	}
	return bad
}

// has reports whether a declaration of the package at dir has a user, or needs none.
func (u *use) has(dir string, d declaration) bool {
	switch {
	case u.text[d.name] || d.tagged:
		return true
	case d.member:
		return u.selected[d.name] || implied[d.name] || d.field && slices.Contains(layouts, dir) || u.asserted[dir+" "+d.of]
	}
	// Words of a manual come in groups: one that is used keeps the others.
	return slices.ContainsFunc(d.group, func(name string) bool {
		return u.imported[dir+" "+name] || u.named[dir+" "+name]
	})
}

// layouts are the packages whose structures follow somebody else's format, or
// the contract with dom0: they have all of its fields.
var layouts = []string{"hv/abi", "boot/acpi", "boot/mb"}

// implied are methods that the standard library and the runtime call.
var implied = map[string]bool{
	"String": true, "Error": true, "Unwrap": true, "Read": true, "Write": true, "Close": true,
	"Len": true, "Less": true, "Swap": true, "UnmarshalText": true, "MarshalText": true,
	"UnmarshalJSON": true, "MarshalJSON": true, "Sys": true,
}

// kept are names that stay without a user, and why. One that has a user, or is
// gone, fails.
var kept = map[string]string{
	"boot/kernel.Booted":           ground,
	"boot/kernel.CrashForTest":     ground,
	"boot/kernel.SkewForTest":      ground,
	"boot/kernel.HostXCR0":         ground,
	"boot/kernel.Leave":            ground,
	"boot/kernel.LogEnd":           ground,
	"boot/kernel.Phys":             ground,
	"boot/kernel.SendNMI":          ground,
	"dom0/hcall.StartVCPU":         "a dom0 with several vCPUs starts them by it",
	"dom0/network/bridge.Learned":  guests,
	"dom0/network/bridge.Capture":  guests,
	"dom0/devmodel/vnet.Announce":  "a guest that was migrated tells its network by it",
	"drivers/nic/offload.Checksum": guests,
	"dom0/network.Unrouted":        guests,
	"dom0/network.Bad":             guests,
	"hv/internal/sched.Set":        pinned,
	"hv/internal/sched.Removed":    "so tests see where an entity is in its life",
	"hv/internal/sched.Ran":        "so tests see how long an entity ran",
	"hv/internal/sched.Charge":     "so tests see accounts that are up to date",
	"hv/internal/policy.Import":    saved,
	"hv/internal/vioapic.Export":   saved,
	"hv/internal/vioapic.Import":   saved,
	"hv/internal/vlapic.Export":    saved,
	"hv/internal/vlapic.Import":    saved,
	"hv/internal/vpic.Export":      saved,
	"hv/internal/vpic.Import":      saved,
	"hv/internal/vpit.Export":      saved,
	"hv/internal/vpit.Import":      saved,
	"hv/internal/vpm.Export":       saved,
	"hv/internal/vpm.Import":       saved,
	"mm/pt.Protect":                "the dirty log of migration writes-protects by it",
	"mm/pt.Visit":                  "so tests see what is mapped",
	"mm/pt.VA":                     "of Flush and Leaf, see Visit",
	"mm/pt.PA":                     "of Leaf, see Visit",
}

const (
	saved  = "save, restore and migration carry the state of chips and vCPUs"
	guests = "captures and some counters of guests' networks have no verbs yet (CAVEATS.md)"
	pinned = "the verb vcpu-pin sets it"
	ground = "the programs of tests/guests that run without hv or dom0 stand on it"
)

// isFake reports whether f belongs to a package of fakes.
func (f *File) isFake() bool { return strings.HasSuffix(path.Dir(f.Name), "test") }

type declaration struct {
	name          string
	pos           token.Pos
	member, field bool     // a method or a field; a field
	tagged        bool     // a field that an encoder knows
	of            string   // the type of a method
	group         []string // names declared together with it, itself among them
}

// declared returns the exported names that f declares.
func (f *File) declared() []declaration {
	var all []declaration
	add := func(n *ast.Ident, d declaration) {
		if d.name, d.pos = n.Name, n.Pos(); n.IsExported() {
			all = append(all, d)
		}
	}
	for _, d := range f.Go.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			m := declaration{member: d.Recv != nil, group: []string{d.Name.Name}}
			if m.member {
				m.of = typeName(d.Recv.List[0].Type)
			}
			add(d.Name, m)
		case *ast.GenDecl:
			group := names(d)
			for _, s := range d.Specs {
				switch s := s.(type) {
				case *ast.ValueSpec:
					for _, n := range s.Names {
						add(n, declaration{group: group})
					}
				case *ast.TypeSpec:
					add(s.Name, declaration{group: []string{s.Name.Name}})
					ast.Inspect(s.Type, func(n ast.Node) bool {
						if fl, ok := n.(*ast.Field); ok && isStruct(s.Type) {
							for _, n := range fl.Names {
								add(n, declaration{member: true, field: true, tagged: fl.Tag != nil})
							}
						}
						return true
					})
				}
			}
		}
	}
	return all
}

// typeName returns the name in T, *T, (*T)(nil) and T{}, or "".
func typeName(e ast.Expr) string {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x.Name
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		case *ast.CallExpr:
			e = x.Fun
		case *ast.CompositeLit:
			e = x.Type
		default:
			return ""
		}
	}
}

// isStruct reports whether a type is a structure.
func isStruct(e ast.Expr) bool {
	_, ok := e.(*ast.StructType)
	return ok
}

// names returns the constants and variables of a declaration.
func names(d *ast.GenDecl) (all []string) {
	for _, s := range d.Specs {
		if v, ok := s.(*ast.ValueSpec); ok {
			for _, n := range v.Names {
				all = append(all, n.Name)
			}
		}
	}
	return all
}

// mentions collects what product code and tools mention.
func mentions(files []*File) *use {
	u := &use{map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}}
	for _, f := range files {
		switch {
		case f.isTest() || f.isFake() || f.in("tests"):
		case strings.HasSuffix(f.Name, ".s") || strings.HasSuffix(f.Name, ".h"):
			for _, w := range strings.FieldsFunc(f.Text, func(r rune) bool {
				return !(r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z')
			}) {
				u.text[w] = true
			}
		case f.Go != nil:
			u.file(f)
		}
	}
	return u
}

// file collects what one file mentions.
func (u *use) file(f *File) {
	dirs := map[string]string{} // local name of an import -> its folder
	for _, i := range f.Go.Imports {
		dir, ours := strings.CutPrefix(strings.Trim(i.Path.Value, `"`), "ringo/")
		if !ours {
			continue
		}
		name := path.Base(dir)
		if i.Name != nil {
			name = i.Name.Name
		}
		dirs[name] = dir
	}
	own := map[token.Pos]bool{}
	for _, d := range f.declared() {
		own[d.pos] = true
	}
	dir := path.Dir(f.Name)
	ast.Inspect(f.Go, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && dirs[x.Name] != "" {
				u.imported[dirs[x.Name]+" "+n.Sel.Name] = true
			}
			u.selected[n.Sel.Name] = true
		case *ast.InterfaceType:
			for _, m := range n.Methods.List {
				for _, name := range m.Names {
					u.selected[name.Name] = true
				}
			}
		case *ast.ValueSpec:
			// var _ other.Interface = (*T)(nil): whoever has that interface calls the methods
			// of T. Of which T has more, this is not seen.
			if x, ok := n.Type.(*ast.SelectorExpr); ok && n.Names[0].Name == "_" && len(n.Values) == 1 {
				if p, ok := x.X.(*ast.Ident); ok && dirs[p.Name] == "" {
					u.asserted[dir+" "+typeName(n.Values[0])] = true
				}
			}
		case *ast.Ident:
			if !own[n.Pos()] {
				u.named[dir+" "+n.Name] = true
			}
		}
		return true
	})
}
