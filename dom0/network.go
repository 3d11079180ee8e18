// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"io"
	"runtime"
	"time"

	"ringo/boot/kernel"
	"ringo/dom0/files/web"
	"ringo/dom0/hcall"
	"ringo/dom0/network"
	"ringo/dom0/network/lan"
)

// newNetwork makes dom0's network by the hypervisor's options, and a clock that it
// sets, dom0's and the hypervisor's, by which those of guests go.
// Cards come later.
func newNetwork(hv *hcall.Client, options []string, uplinks *lan.Uplinks, log func(string)) (*network.Network, *network.Clock) {
	settings, servers, errs := network.ParseSettings(options)
	for _, err := range errs {
		log("error: " + err.Error())
	}
	n := network.New(network.Options{Hostname: hostname, Settings: settings, Moved: uplinks.Own, Log: log})
	return n, n.NewClock(servers, func(offset time.Duration) {
		if err := hv.SetWall(time.Now().Add(offset)); err != nil {
			log("error: " + err.Error())
		}
		if runtime.GOOS == "tamago" {
			return // whose one clock has deadlines in it: they would move along
		}
		kernel.SetWall(uint64(time.Now().Add(offset).UnixNano()))
	})
}

// fromWeb opens files on servers.
func fromWeb(n *network.Network) func(url string) (io.ReaderAt, int64, error) {
	c := n.Client()
	return func(url string) (io.ReaderAt, int64, error) {
		f, err := web.Open(c, url)
		if err != nil {
			return nil, 0, err
		}
		return f, f.Size(), nil
	}
}
