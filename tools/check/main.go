// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Command check runs every check of the source tree and prints a verdict:
// formatting, vet, both images, and all tests. With -emu it also boots the
// images in emulators and runs the fuzz targets; with -long, that suite includes
// the tests that take minutes, and the targets run longer. At the end stands a table of what each backend makes of the conformance
// tests; with -backends that is all it runs, and with -fuzz it runs the fuzz
// targets only.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"ringo/tools/debian"
	"ringo/tools/image"
)

// suite is the package whose tests boot the images.
const suite = "ringo/tests/emu"

// seeds plays the simulated machines of the scheduler for longer than the tests of its
// package do.
func seeds(simulated string) []string {
	return []string{"./hv/internal/sched", "-run", "^TestSeeds$", "-count=1", "-timeout", suiteTimeout.String(), "-args", "-simulated=" + simulated}
}

// suiteTimeout and longTimeout bound the suite; a busy machine may need minutes for
// the tests of a package, too.
const (
	suiteTimeout = time.Hour
	longTimeout  = 3 * time.Hour
)

func main() {
	emu := flag.Bool("emu", false, "boot the images in the emulator too")
	long := flag.Bool("long", false, "with -emu: the long tests too")
	only := flag.Bool("backends", false, "run the conformance tests of the backends and nothing else")
	fuzz := flag.Bool("fuzz", false, "run the fuzz targets and nothing else; with -long, longer")
	flag.Parse()
	run := func() error { return check(*emu, *long) }
	switch {
	case *only:
		run = backends
	case *fuzz:
		run = func() error { return fuzzAll(*long) }
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "check:", err)
		os.Exit(1)
	}
}

// checking are the tests of code that builds with the tag invariants have.
var checking = []string{"./svm", "./vmx", "./mm/frame", "./mm/pt", "-tags", "invariants"}

// check runs the steps in order. Tests run to their end even if some fail; the
// other steps stop at the first error.
func check(emu, long bool) error {
	root, err := image.Root()
	if err != nil {
		return err
	}
	if err := os.Chdir(root); err != nil {
		return err
	}
	if emu {
		if err := debian.Ensure(os.Stderr, "test"); err != nil {
			return err
		}
	}
	if err := format(); err != nil {
		return err
	}
	if err := quiet("go", "vet", "./..."); err != nil {
		return err
	}
	units, err := unitPackages()
	if err != nil {
		return err
	}
	if err := images(root); err != nil {
		return err
	}
	var sum tally
	if err := sum.test(append(units, "-timeout", suiteTimeout.String())); err != nil {
		return err
	}
	if err := sum.test(checking); err != nil {
		return err
	}
	if emu {
		simulated := "20m"
		if long {
			simulated = "1h"
		}
		if err := sum.test(seeds(simulated)); err != nil {
			return err
		}
		args := []string{suite, "-v", "-count=1", "-timeout", suiteTimeout.String()}
		if long {
			args = []string{suite, "-v", "-count=1", "-timeout", longTimeout.String(), "-args", "-long"}
		}
		if err := sum.test(args); err != nil {
			return err
		}
		if err := sum.fuzz(root, long); err != nil {
			return err
		}
	}
	return sum.report(os.Stdout)
}

// fuzzAll runs the fuzz targets.
func fuzzAll(long bool) error {
	root, err := image.Root()
	if err != nil {
		return err
	}
	var sum tally
	if err := sum.fuzz(root, long); err != nil {
		return err
	}
	return sum.report(os.Stdout)
}

// backends runs the conformance tests on the fake and on every emulated machine.
func backends() error {
	root, err := image.Root()
	if err != nil {
		return err
	}
	if err := os.Chdir(root); err != nil {
		return err
	}
	if err := debian.Ensure(os.Stderr, "test"); err != nil {
		return err
	}
	var sum tally
	if err := sum.test([]string{"./hv/vcpu/vcputest", suite, "-run", "TestFakeConforms|TestBackend", "-count=1", "-timeout", suiteTimeout.String()}); err != nil {
		return err
	}
	return sum.report(os.Stdout)
}

// format fails on files that gofmt would change.
func format() error {
	out, err := exec.Command("gofmt", "-l", ".").Output()
	if err != nil {
		return fmt.Errorf("gofmt: %w", err)
	}
	if len(out) > 0 {
		return fmt.Errorf("not formatted by gofmt:\n%s", out)
	}
	return nil
}

// quiet runs a command and shows its output only if it fails.
func quiet(name string, args ...string) error {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

// unitPackages is every package but the suite.
func unitPackages() ([]string, error) {
	out, err := exec.Command("go", "list", "./...").Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var pkgs []string
	for _, p := range strings.Fields(string(out)) {
		if p != suite {
			pkgs = append(pkgs, p)
		}
	}
	return pkgs, nil
}
