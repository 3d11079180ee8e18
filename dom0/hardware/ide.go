// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package hardware

import (
	"errors"
	"fmt"

	"ringo/drivers/ide"
	"ringo/drivers/reg"
	"ringo/hv/abi"
)

// ideDriver has the channels of IDE controllers that have the AT's ports and interrupts.
// A disk is named by its channel and its number there.
var ideDriver = Driver{
	Name: "ide", Memory: 2 * ideMemory,
	Match: func(f *abi.PCIFunction) bool { return f.Class>>8 == 0x0101 },
	Start: startIDE,
}

const (
	ideMemory    = 256 << 10 // of a channel
	masterPorts  = 8         // of a channel, in base address 4
	ideHasMaster = 1 << 7    // of the class ("Programming Interface")
)

func startIDE(f *Function) (rest func() error, err error) {
	var master reg.Window
	if b := &f.BAR[4]; f.Class&ideHasMaster != 0 && b.Flags&abi.BARPort != 0 && b.Size >= 2*masterPorts {
		if master, err = f.Window(4); err != nil {
			f.Log("no bus master, so that its drives are slow: " + err.Error())
		}
	}
	var going []*ide.Channel
	for n := range 2 {
		c, err := startChannel(f, n, master)
		if errors.Is(err, ide.ErrEmpty) {
			continue
		}
		if err != nil {
			f.Log(fmt.Sprintf("channel %d is not used: %v", n, err))
			continue
		}
		going = append(going, c)
		for _, d := range c.Disks() {
			f.AddDisk(fmt.Sprintf("c%dd%d", n, d.Drive()), d, d.Dead)
		}
	}
	if len(going) == 0 {
		return nil, errors.New("there are no drives")
	}
	return func() (err error) {
		for _, c := range going {
			err = errors.Join(err, c.Close())
		}
		return err
	}, nil
}

// startChannel brings a channel up. Both share the bus: where one gives it up, the other
// one's commands fail as well.
func startChannel(f *Function, n int, master reg.Window) (*ide.Channel, error) {
	if f.BAR[2*n].Flags&abi.BARFixed == 0 {
		return nil, errors.New("it is in native mode")
	}
	command, err := f.Window(2 * n)
	if err != nil {
		return nil, err
	}
	control, err := f.Window(2*n + 1)
	if err != nil {
		return nil, err
	}
	if master != nil {
		master = reg.Part(master, uint32(n)*masterPorts, masterPorts)
		if err := f.Master(); err != nil {
			return nil, err
		}
	}
	return ide.Start(ide.Config{
		Command: command, Control: control, Master: master, Arena: f.Arena(),
		Bind:    func(call func()) error { return f.BindLine(n, call) },
		Present: f.Present, Stop: f.Stop, Log: func(line string) { f.Log(fmt.Sprintf("channel %d: %s", n, line)) },
	})
}
