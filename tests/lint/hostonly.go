// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package lint

import (
	"go/ast"
	"path"
)

// suite is the folder whose tests boot machines; make check leaves it out.
const suite = "tests/emu"

// starts are the functions of tools/emu that start an emulator.
var starts = map[string]bool{"Start": true, "StartBochs": true}

// hostOnly keeps emulators out of unit tests: only the suite's tests start one.
func hostOnly(f *File) []string {
	if f.Go == nil || !f.isTest() || path.Dir(f.Name) == suite {
		return nil
	}
	var bad []string
	ast.Inspect(f.Go, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		switch fn := call.Fun.(type) {
		case *ast.SelectorExpr:
			if x, ok := fn.X.(*ast.Ident); ok && x.Name == "emu" && starts[fn.Sel.Name] {
				bad = append(bad, f.at(call.Pos(), "a unit test starts an emulator: that belongs to %s", suite))
			}
		case *ast.Ident:
			if f.Go.Name.Name == "emu" && starts[fn.Name] {
				bad = append(bad, f.at(call.Pos(), "a unit test starts an emulator: that belongs to %s", suite))
			}
		}
		return true
	})
	return bad
}
