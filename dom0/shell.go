// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"strings"

	"ringo/boot/kernel"
	"ringo/dom0/config"
	"ringo/dom0/console"
	"ringo/dom0/domain"
	"ringo/dom0/hcall"
	"ringo/dom0/platform"
	"ringo/hv/abi"
)

func shell(h *console.Host, m *domain.Manager, p *platform.Platform, hv *hcall.Client) {
	for {
		line, err := h.ReadLine()
		if err != nil {
			return
		}
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		switch f[0] {
		case "create":
			b, err := m.ReadConfig(f[1])
			if err != nil {
				fmt.Fprintln(h, "error:", err)
				continue
			}
			c, err := config.Parse(f[1], b)
			if err != nil {
				fmt.Fprintln(h, "error:", err)
				continue
			}
			id, err := m.Create(c, false)
			fmt.Fprintln(h, "created", id, err, kernel.TSC())
		case "console":
			in, err := m.Find(f[1])
			if err != nil {
				fmt.Fprintln(h, "error:", err)
				continue
			}
			h.Attach(f[1], p.Console(in.ID))
		case "list":
			l, err := m.List()
			fmt.Fprintf(h, "%+v %v\n", l, err)
		case "destroy":
			fmt.Fprintln(h, m.Destroy(f[1]))
		case "exits":
			c, _ := hv.ExitCounts(abi.AllDomains)
			for i, n := range c.Count {
				if n != 0 {
					fmt.Fprintln(h, string(c.Name[i][:]), n)
				}
			}
		case "poweroff":
			hv.Power(abi.PowerOff)
		}
	}
}
