// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"

	"ringo/tools/image"
)

// profiled is the first line of make profile: the mean of the shorter half of the rounds,
// and that of all.
var profiled = regexp.MustCompile(`(?m)^interrupt: [0-9.]+ instructions, .*; of all ([0-9.]+)$`)

// measureInterrupt is what the way from a network card's message to the driver's goroutine
// takes, in a machine that sleeps. Nothing in the images can tell when the message was
// sent: so it is not dom0 that counts, but make profile in the emulator's trace.
func (v values) measureInterrupt(f files) error {
	if !f.wants(netRows) || f.backend == onBochs {
		return nil
	}
	root, err := image.Root()
	if err != nil {
		return err
	}
	c := exec.Command("go", "run", "./tools/profile")
	c.Dir, c.Stderr = root, os.Stderr
	c.Env = append(os.Environ(), "FIGURE=interrupt", "BACKEND="+f.backend, "BY=func")
	out, err := c.Output()
	if err != nil {
		return err
	}
	v[interruptFigure], err = profiledMean(out)
	return err
}

func profiledMean(out []byte) (float64, error) {
	g := profiled.FindSubmatch(out)
	if g == nil {
		return 0, fmt.Errorf("make profile printed no figure")
	}
	return strconv.ParseFloat(string(g[1]), 64)
}
