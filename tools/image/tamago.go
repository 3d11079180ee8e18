// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package image

import (
	"debug/dwarf"
	"debug/elf"
	"fmt"
	"path/filepath"
	"strings"
	"sync"

	"ringo/boot/layout"
	"ringo/tools/tamago"
)

var compilers struct {
	mu sync.Mutex
	of map[string]*tamago.Toolchain // by root
}

// compiler finds TamaGo's compiler for the module at root, or fetches it.
func compiler(root string) (*tamago.Toolchain, error) {
	compilers.mu.Lock()
	defer compilers.mu.Unlock()
	if c := compilers.of[root]; c != nil {
		return c, nil
	}
	c, err := tamago.Get(root, filepath.Join(root, "build", "tamago"))
	if err != nil {
		return nil, err
	}
	if compilers.of == nil {
		compilers.of = map[string]*tamago.Toolchain{}
	}
	compilers.of[root] = c
	return c, nil
}

// linkTamago is link with TamaGo's compiler. The layer names variables and functions of
// the runtime that no interface has, which the linker must let pass; what else it knows
// of the runtime is compared where the program has its symbols.
func linkTamago(root, out string, env, args []string, symbols bool) error {
	c, err := compiler(root)
	if err != nil {
		return err
	}
	args = append([]string{}, args...)
	for i := range args {
		if i > 0 && args[i-1] == "-ldflags" {
			args[i] += " -checklinkname=0"
		}
	}
	if err := c.Build(env, args...); err != nil || !symbols {
		return err
	}
	if err := runtimeAgrees(out); err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(out), err)
	}
	return nil
}

// fields are what the kernel layer knows of the runtime.
var fields = map[string]int64{
	"runtime.g.m": layout.GoM, "runtime.g.paniconfault": layout.GoPanics, "runtime.m.p": layout.GoP, "runtime.m.mOS": layout.GoSema, "runtime.m.spinning": layout.GoSpinning,
	"runtime.mOS.waitsemacount": 0, "runtime.p.runqhead": layout.GoRunHead,
	"runtime.p.runqtail": layout.GoRunHead + 4, "runtime.p.runnext": layout.GoRunNext,
	"runtime.p.schedtick": layout.GoTick, "runtime.m.g0": 0, "runtime.p.timers": layout.GoPTimers,
	"runtime.timers.minWhenHeap": layout.GoWhen, "runtime.timers.minWhenModified": layout.GoWhen + 8,
	"runtime.schedt.runq": layout.GoSchedQueue, "runtime.gQueue.head": 0,
	"runtime.gcControllerState.mappedReady": layout.GoMapped, "runtime.mstats.stacks_sys": layout.GoStacks,
}

// runtimeAgrees compares fields with the program's debug information.
func runtimeAgrees(program string) error {
	f, err := elf.Open(program)
	if err != nil {
		return err
	}
	defer f.Close()
	d, err := f.DWARF()
	if err != nil {
		return err
	}
	found := 0
	r := d.Reader()
	for {
		e, err := r.Next()
		if err != nil {
			return err
		}
		if e == nil {
			break
		}
		if e.Tag != dwarf.TagStructType {
			if e.Tag != dwarf.TagCompileUnit {
				r.SkipChildren()
			}
			continue
		}
		n, err := members(r, e)
		if err != nil {
			return err
		}
		found += n
	}
	if found != len(fields) {
		return fmt.Errorf("the compiler's runtime is none that boot/layout knows: %d of %d fields are there", found, len(fields))
	}
	return nil
}

// members compares those of one structure, and returns how many it has.
func members(r *dwarf.Reader, e *dwarf.Entry) (n int, err error) {
	name, _ := e.Val(dwarf.AttrName).(string)
	if !strings.HasPrefix(name, "runtime.") || strings.Count(name, ".") != 1 {
		r.SkipChildren()
		return 0, nil
	}
	for {
		m, err := r.Next()
		if err != nil || m == nil || m.Tag == 0 {
			return n, err
		}
		field, _ := m.Val(dwarf.AttrName).(string)
		at, _ := m.Val(dwarf.AttrDataMemberLoc).(int64)
		if want, ok := fields[name+"."+field]; ok {
			if n++; at != want {
				return n, fmt.Errorf("%s.%s of the compiler's runtime is at %d, boot/layout has %d", name, field, at, want)
			}
		}
	}
}
