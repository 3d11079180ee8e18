// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package cmdline

import (
	"errors"
	"math/bits"
	"strconv"
)

// named is one word that an option takes.
type named[T any] struct {
	word  string
	value T
}

var (
	booleans = []named[bool]{
		{"on", true}, {"off", false}, {"yes", true}, {"no", false},
		{"true", true}, {"false", false}, {"1", true}, {"0", false},
	}
	levels = []named[Level]{
		{"none", LogNone}, {"error", LogError}, {"warning", LogWarning},
		{"info", LogInfo}, {"debug", LogDebug}, {"all", LogDebug},
	}
	schedulers = []named[Scheduler]{
		{"share", SchedShare}, {"pinned", SchedPinned},
		{"credit", SchedShare}, {"credit2", SchedShare}, {"null", SchedPinned},
	}
	iommus = []named[iommu]{
		{"auto", iommuAuto}, {"off", iommuOff}, {"required", iommuRequired}, {"on", iommuAuto}, {"force", iommuRequired},
		{"yes", iommuAuto}, {"no", iommuOff}, {"true", iommuAuto}, {"false", iommuOff}, {"1", iommuAuto}, {"0", iommuOff},
	}
	consoles = []named[Console]{
		{"com1", ConsoleCOM1}, {"com2", ConsoleCOM2}, {"com3", ConsoleCOM3}, {"com4", ConsoleCOM4}, {"vga", ConsoleVGA}, {"none", 0},
	}
)

// choose sets to to the value of word v.
func choose[T any](v string, to *T, words []named[T]) error {
	for _, w := range words {
		if w.word == v {
			*to = w.value
			return nil
		}
	}
	s := "must be one of"
	for _, w := range words {
		s += " " + w.word
	}
	return errors.New(s)
}

func setConsole(o *Options, v string) error {
	set := Console(0)
	for {
		var word string
		var c Console
		word, v = cut(v, ',')
		if err := choose(word, &c, consoles); err != nil {
			return err
		}
		set |= c
		if v == "" {
			break
		}
	}
	if serial := set &^ ConsoleVGA; serial&(serial-1) != 0 {
		return errors.New("one serial port at a time")
	}
	o.Console, o.ConsoleGiven = set, true
	return nil
}

// iommu is a value of iommu=.
type iommu uint8

const (
	iommuAuto iommu = iota // use one if there is one
	iommuOff
	iommuRequired
)

func setIOMMU(o *Options, v string) error {
	var i iommu
	if err := choose(v, &i, iommus); err != nil {
		return err
	}
	o.NeedsIOMMU, o.NoIOMMU = i == iommuRequired, i == iommuOff
	return nil
}

func setNoSMP(o *Options, v string) error {
	var one bool
	if err := choose(v, &one, booleans); err != nil {
		return err
	}
	if one {
		o.MaxCPUs = 1
	}
	return nil
}

// setDom0Memory takes Xen's list form too, "1G,max:1G": dom0's memory does not
// change here, so the plain size counts, else max, else min.
func setDom0Memory(o *Options, v string) error {
	rank := 0
	for first := true; first || v != ""; first = false {
		var part string
		part, v = cut(v, ',')
		r := 3
		if len(part) > 4 && (part[:4] == "max:" || part[:4] == "min:") {
			if r = 2; part[:4] == "min:" {
				r = 1
			}
			part = part[4:]
		}
		size, err := Size(part)
		if err != nil {
			return err
		}
		if size == 0 {
			return errors.New("must not be 0")
		}
		if r > rank {
			rank, o.Dom0Memory = r, size
		}
	}
	return nil
}

// Size reads an amount of memory: a number with K, M, G or T, or KiB, MiB, GiB
// or TiB, in any case. A bare number is in MiB. The result is in bytes.
func Size(s string) (uint64, error) {
	digits := 0
	for digits < len(s) && '0' <= s[digits] && s[digits] <= '9' {
		digits++
	}
	n, err := strconv.ParseUint(s[:digits], 10, 64)
	shift, ok := unit(s[digits:])
	if err != nil || !ok {
		return 0, errors.New(`"` + s + `" is not a size such as 512M or 1GiB`)
	}
	if hi, _ := bits.Mul64(n, 1<<shift); hi != 0 {
		return 0, errors.New(`"` + s + `" is too large`)
	}
	return n << shift, nil
}

func unit(s string) (shift uint, ok bool) {
	if s == "" {
		return 20, true
	}
	if len(s) == 3 && s[1]|0x20 == 'i' && s[2]|0x20 == 'b' {
		s = s[:1]
	}
	if len(s) != 1 {
		return 0, false
	}
	switch s[0] | 0x20 {
	case 'k':
		return 10, true
	case 'm':
		return 20, true
	case 'g':
		return 30, true
	case 't':
		return 40, true
	}
	return 0, false
}

// setSerial reads BAUD[,DPS[,PORT]], for example 115200,8n1,0x3f8, or the port
// first, which then needs its 0x.
func setSerial(s *Serial, v string) error {
	first := ""
	if len(v) > 2 && v[:2] == "0x" {
		first, v = cut(v, ',')
	}
	baud, v := cut(v, ',')
	dps, port := cut(v, ',')
	if first != "" {
		if port != "" {
			return errors.New("two I/O ports")
		}
		port = first
	}
	if baud == "" && first != "" {
		baud = "115200"
	}
	if baud == "auto" {
		s.Baud = 0
	} else {
		n, err := strconv.ParseUint(baud, 10, 32)
		if err != nil || n == 0 || 115200%n != 0 {
			return errors.New("baud rate must divide 115200, or be auto")
		}
		s.Baud = uint32(n)
	}
	if dps != "" {
		if len(dps) != 3 || dps[0] < '5' || dps[0] > '8' || dps[2] != '1' && dps[2] != '2' {
			return errors.New("line format must look like 8n1")
		}
		switch dps[1] {
		case 'n', 'o', 'e':
		default:
			return errors.New("parity must be n, o or e")
		}
		s.Data, s.Parity, s.Stop = dps[0]-'0', dps[1], dps[2]-'0'
	}
	if port != "" {
		n, err := strconv.ParseUint(port, 0, 16)
		if err != nil || n == 0 || n > 0xfff8 {
			return errors.New("bad I/O port")
		}
		s.Port = uint16(n)
	}
	return nil
}

// setPool reads the size of the pool: boot/kernel ignores what is less than 4.
func setPool(o *Options, v string) error {
	if err := number(v, &o.Pool); err != nil {
		return err
	}
	if o.Pool < 4 {
		return errors.New("less than 4 MiB")
	}
	return nil
}

// setLines takes BUS:DEVICE.FUNCTION:GSI, the first three in hexadecimal as pci shows
// them, the last in decimal; more behind commas, or in further options.
func setLines(o *Options, v string) error {
	lines := map[uint32]uint32{}
	for v != "" {
		var word string
		word, v = cut(v, ',')
		bus, rest := cut(word, ':')
		device, rest := cut(rest, '.')
		function, gsi := cut(rest, ':')
		b, err := strconv.ParseUint(bus, 16, 8)
		d, err2 := strconv.ParseUint(device, 16, 5)
		f, err3 := strconv.ParseUint(function, 16, 3)
		n, err4 := strconv.ParseUint(gsi, 10, 16)
		if err != nil || err2 != nil || err3 != nil || err4 != nil {
			return errors.New("a line must look like 00:03.0:19")
		}
		lines[uint32(b<<8|d<<3|f)] = uint32(n)
	}
	for a, n := range o.Lines {
		if _, ok := lines[a]; !ok {
			lines[a] = n
		}
	}
	o.Lines = lines
	return nil
}
