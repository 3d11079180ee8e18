// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package cli

import (
	"errors"
	"fmt"
	"strconv"

	"ringo/dom0/api"
)

// create makes a domain from a file, from settings, or from both.
func create(c *call) error {
	in, err := c.source()
	if err != nil {
		return err
	}
	if c.given('n') {
		cfg, err := api.DomainCheck.Call(c.API, in)
		if err != nil {
			return err
		}
		c.printf("%q can be created\n", cfg.Name)
		return nil
	}
	if c.given('c') && c.Terminal == nil {
		return errNoTerminal
	}
	d, err := api.DomainCreate.Call(c.API, in)
	if err != nil {
		return err
	}
	c.printf("created %q (id %d)\n", d.Name, d.ID)
	if c.given('c') {
		return c.show(d.ID, d.Name)
	}
	return nil
}

var errNoTerminal = errors.New("there is no terminal here to show a console on")

// attach is the verb console.
func attach(c *call) error {
	if c.Terminal == nil {
		return errNoTerminal
	}
	d, err := c.domain()
	if err != nil {
		return err
	}
	if d.Control() {
		return fmt.Errorf("%q has no other console than this", d.Name)
	}
	return c.show(d.ID, d.Name)
}

// show attaches the console of a domain.
func (c *call) show(id uint32, name string) error {
	c.flush()
	return c.Terminal.Attach(id, name, c.opt['t'], c.given('r'), c.given('f'))
}

// domain returns the domain that the first argument names.
func (c *call) domain() (api.Domain, error) { return api.DomainShow.Call(c.API, c.ref()) }

func (c *call) ref() api.Ref { return api.Ref{Domain: c.args[0]} }

// on makes the command of a verb that takes a domain and answers nothing.
func on(v *api.Verb[api.Ref, api.None]) func(c *call) error {
	return func(c *call) error {
		_, err := v.Call(c.API, c.ref())
		return err
	}
}

// asked makes the command of a verb that asks a domain to stop.
func asked(v *api.Verb[api.Stop, api.None]) func(c *call) error {
	return func(c *call) error {
		c.flush()
		_, err := v.Call(c.API, api.Stop{Domain: c.args[0], Wait: c.given('w'), Force: c.given('F')})
		return err
	}
}

func sysrq(c *call) error {
	_, err := api.DomainSysRq.Call(c.API, api.SysRq{Domain: c.args[0], Key: c.args[1]})
	return err
}

func trigger(c *call) error {
	in := api.Trigger{Domain: c.args[0], Event: c.args[1]}
	if len(c.args) > 2 {
		n, err := strconv.ParseUint(c.args[2], 10, 32)
		if err != nil {
			return fmt.Errorf("%q is not the number of a vCPU; %w", c.args[2], c.usage())
		}
		in.VCPU = uint32(n)
	}
	out, err := api.DomainTrigger.Call(c.API, in)
	if err == nil && !out.Heard {
		c.printf("the guest does not listen to this (yet)\n")
	}
	return err
}

func rename(c *call) error {
	_, err := api.DomainRename.Call(c.API, api.Rename{Domain: c.args[0], Name: c.args[1]})
	return err
}

func domid(c *call) error {
	d, err := c.domain()
	if err != nil {
		return err
	}
	c.printf("%d\n", d.ID)
	return nil
}

func domname(c *call) error {
	d, err := c.domain()
	if err != nil {
		return err
	}
	c.printf("%s\n", d.Name)
	return nil
}
