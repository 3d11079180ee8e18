// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package virtio

import (
	"errors"
	"fmt"

	"ringo/drivers/pci"
	"ringo/drivers/reg"
)

// Kinds of structures ("Virtio Structure PCI Capabilities").
const (
	kindCommon = 1
	kindNotify = 2
	kindDevice = 4
)

// place is where a structure of registers is.
type place struct {
	bar          int
	offset, size uint32
}

// find maps the structures that a driver needs: of each kind the first one, which is
// the one that the device prefers.
func (d *Device) find() error {
	bars := map[int]reg.Window{}
	for _, c := range pci.Capabilities(d.Config) {
		if !c.Extended && c.ID == pci.CapMSIX {
			d.messages = c.Messages()
		}
		if c.Extended || c.ID != pci.CapVendor {
			continue
		}
		p := place{int(d.Config(c.Reg+4) & 0xff), d.Config(c.Reg + 8), d.Config(c.Reg + 12)}
		var to *reg.Window
		switch c.Head >> 24 {
		case kindCommon:
			to = &d.common
		case kindNotify:
			to = &d.notify
		case kindDevice:
			to = &d.device
		}
		if to == nil || *to != nil || p.bar > 5 {
			continue
		}
		w, err := p.window(bars, d.BAR)
		if err != nil {
			return err
		}
		*to = w
		if c.Head>>24 == kindNotify {
			d.multiplier = d.Config(c.Reg + 16)
		}
	}
	switch {
	case d.common == nil || d.notify == nil:
		return errors.New("it has no registers of virtio 1.0: it is a legacy device")
	case d.common.Size() < commonSize:
		return fmt.Errorf("its registers have %d bytes", d.common.Size())
	}
	return nil
}

// window maps a place.
func (p place) window(bars map[int]reg.Window, bar func(int) (reg.Window, error)) (reg.Window, error) {
	w := bars[p.bar]
	if w == nil {
		var err error
		if w, err = bar(p.bar); err != nil {
			return nil, err
		}
		bars[p.bar] = w
	}
	if uint64(p.offset)+uint64(p.size) > uint64(w.Size()) || p.offset%4 != 0 {
		return nil, fmt.Errorf("registers at %#x, %d bytes, are not within base address %d", p.offset, p.size, p.bar)
	}
	return reg.Part(w, p.offset, p.size), nil
}
