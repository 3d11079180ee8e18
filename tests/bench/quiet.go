// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import "fmt"

// serverCPU is QEMU's processor with the family of AMD's servers since 2020. As QEMU has
// it the family is that of 2003, on which Linux looks at 8192 PCI functions, twice,
// for an aperture of the graphics port that those had.
const serverCPU = "max,family=25,model=1"

// measureQuiet counts the exits of a boot as distributions have it by default, with
// "quiet": Linux does not write its log to the serial port, byte by byte. The guest ends
// with the first instructions of its init, and is kept to be asked.
func (v values) measureQuiet(f files) error {
	if !f.wants(linuxRows) {
		return nil
	}
	c := f.config(1, true)
	if f.backend == onQEMU {
		c.CPU = serverCPU
	}
	m, err := prompted(c)
	if err != nil {
		return err
	}
	defer m.Kill()
	m.Send(`create name=quiet kernel=boot:vmlinux.lz4 initrd=boot:init.gz memory=128MiB debug_exit=true on_poweroff=preserve cmdline="console=ttyS0 quiet ` + initEnds + "\"\r")
	which, _, err := m.Expect(deadline, "domain \"quiet\" has ended with code", "error: ", " crashed: ")
	if err != nil || which != 0 {
		return fmt.Errorf("the guest did not come to its init: %v\n%s", err, m.Last(3))
	}
	v[quietFigure], _, _, err = exitCosts(m, "quiet")
	return err
}
