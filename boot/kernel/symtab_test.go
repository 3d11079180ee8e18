// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

// hostSymtab is the table of the test binary itself.
func hostSymtab(t *testing.T) symtab {
	s := imageSymtab()
	if s.tab == 0 {
		t.Fatal("no table at runtime.pclntab")
	}
	return s
}

func cString(p uint64) string {
	var b []byte
	for *p8(p) != 0 {
		b = append(b, *p8(p))
		p++
	}
	return string(b)
}

// TestSymbols compares the symbolizer with the runtime's for every function of
// the binary, at several places.
func TestSymbols(t *testing.T) {
	s := hostSymtab(t)
	text, etext := imageText(), imageEtext()
	n := 0
	for pc := text; pc < etext; pc += 37 {
		fn, start := s.find(pc)
		want := runtime.FuncForPC(uintptr(pc))
		if (fn == 0) != (want == nil) {
			t.Fatalf("%#x: found %v, runtime %v", pc, fn != 0, want != nil)
		}
		if fn == 0 {
			continue
		}
		// Inlined calls are the runtime's business; ours is the function.
		frame, _ := runtime.CallersFrames([]uintptr{uintptr(pc) + 1}).Next()
		if frame.Func == nil || frame.Func.Name() == "" || frame.Func.Entry() != uintptr(start) {
			continue
		}
		name := cString(s.name(fn))
		if trim(name) != trim(frame.Func.Name()) {
			t.Errorf("%#x: %q, want %q", pc, name, frame.Func.Name())
		}
		line, ok := s.value(fn, start, pc, fnPCLine)
		fv, ok2 := s.value(fn, start, pc, fnPCFile)
		if !ok || !ok2 {
			continue
		}
		if file := cString(s.file(fn, fv)); file != frame.File || int(line) != frame.Line {
			t.Errorf("%#x %s: %s:%d, want %s:%d", pc, name, file, line, frame.File, frame.Line)
		}
		n++
	}
	if n < 1000 {
		t.Errorf("only %d places compared", n)
	}
	if fn, _ := s.find(etext + 1<<20); fn != 0 {
		t.Error("found a function behind the text")
	}
	if fn, _ := s.find(0); fn != 0 {
		t.Error("found a function at 0")
	}
}

// trim drops type arguments, which the runtime prints as "[...]".
func trim(s string) string {
	if i := strings.IndexByte(s, '['); i >= 0 {
		return s[:i]
	}
	return s
}

//go:noinline
func level1(f func() []string) []string { return level2(f) }

//go:noinline
func level2(f func() []string) []string { r := f(); runtime.KeepAlive(&r); return r }

// TestUnwind walks this goroutine's stack.
func TestUnwind(t *testing.T) {
	s := hostSymtab(t)
	got := level1(func() (names []string) {
		pc, sp, _ := callerRegs()
		for {
			fn, start := s.find(pc)
			if fn == 0 {
				return names
			}
			names = append(names, cString(s.name(fn)))
			var ok bool
			if pc, sp, ok = s.caller(fn, start, pc, sp); !ok {
				return names
			}
			pc--
		}
	})
	want := []string{"ringo/boot/kernel.TestUnwind.func1", "ringo/boot/kernel.level2", "ringo/boot/kernel.level1", "ringo/boot/kernel.TestUnwind", "testing.tRunner", "testing.(*T).Run.gowrap1", "runtime.goexit"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestG checks what Wait relies on: where stackguard0 is in a g and what a
// preemption request looks like, by the symbols of the toolchain.
func TestG(t *testing.T) {
	f, err := elf.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d, err := f.DWARF()
	if err != nil {
		t.Skip("the test binary has no debug information")
	}
	r := d.Reader()
	for {
		e, err := r.Next()
		if err != nil || e == nil {
			break
		}
		if name, _ := e.Val(0x03).(string); name != "runtime.g" || !e.Children {
			continue
		}
		for {
			m, err := r.Next()
			if err != nil || m == nil || m.Tag == 0 {
				t.Fatal("runtime.g has no stackguard0")
			}
			if name, _ := m.Val(0x03).(string); name == "stackguard0" {
				if off, _ := m.Val(0x38).(int64); off != guardOffset {
					t.Errorf("stackguard0 is at %d, not at %d", off, guardOffset)
				}
				return
			}
		}
	}
	t.Error("no type runtime.g")
}

// TestPreemptValue finds the constant in the runtime's source.
func TestPreemptValue(t *testing.T) {
	if !strings.Contains(goSource(t, "stack.go"), "stackPreempt = uintptrMask & -1314\n") {
		t.Error("runtime.stackPreempt has another value")
	}
	if v := int64(-1314); stackPreempt != uint64(v) {
		t.Errorf("stackPreempt is %#x", uint64(stackPreempt))
	}
}

// goSource returns a file of the runtime's source.
func goSource(t *testing.T, name string) string {
	t.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(root)), "src", "runtime", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
