// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package cli

import (
	"errors"
	"fmt"
	"strings"

	"ringo/dom0/config"
	"ringo/hv/abi"
)

// create makes a domain from a file, from settings, or from both.
func create(c *call) error {
	cfg, err := c.configuration()
	if err != nil {
		return err
	}
	if c.given('n') {
		if err := c.Manager.Check(cfg); err != nil {
			return err
		}
		c.printf("%q can be created\n", cfg.Name)
		return nil
	}
	if c.given('c') && c.Terminal == nil {
		return errNoTerminal
	}
	id, err := c.Manager.Create(cfg, c.given('p'))
	if err != nil {
		return err
	}
	c.printf("created %q (id %d)\n", cfg.Name, id)
	if c.given('c') {
		return c.show(id, cfg.Name)
	}
	return nil
}

// configuration reads the file and applies the settings.
func (c *call) configuration() (*config.Config, error) {
	cfg, file, sets := config.Default(), "", []string(nil)
	for _, a := range c.args {
		switch {
		case strings.Contains(a, "="):
			sets = append(sets, a)
		case file != "":
			return nil, fmt.Errorf("two files, %s and %s; %w", file, a, c.usage())
		default:
			file = a
		}
	}
	if file != "" {
		data, err := c.Manager.ReadConfig(file)
		if err != nil {
			return nil, err
		}
		if cfg, err = config.Parse(file, data); err != nil {
			return nil, err
		}
	}
	for _, s := range sets {
		key, value, _ := strings.Cut(s, "=")
		if err := cfg.Set(key, value); err != nil {
			return nil, err
		}
	}
	if err := cfg.Validate(); err != nil {
		if file != "" {
			err = fmt.Errorf("%s: %w", file, err)
		}
		return nil, err
	}
	return cfg, nil
}

var errNoTerminal = errors.New("there is no terminal here to show a console on")

// attach is the verb console.
func attach(c *call) error {
	if c.Terminal == nil {
		return errNoTerminal
	}
	in, err := c.Manager.Find(c.args[0])
	if err != nil {
		return err
	}
	if in.ID == abi.Dom0 {
		return fmt.Errorf("%q has no other console than this", in.Name)
	}
	return c.show(in.ID, in.Name)
}

// show attaches the console of a domain.
func (c *call) show(id uint32, name string) error {
	g := c.Consoles.Console(id)
	if g == nil {
		return fmt.Errorf("domain %q has no console (any more)", name)
	}
	c.flush()
	c.Terminal.Attach(name, g, c.given('r'))
	return nil
}

func pause(c *call) error   { return c.Manager.Pause(c.args[0]) }
func unpause(c *call) error { return c.Manager.Unpause(c.args[0]) }
func destroy(c *call) error { return c.Manager.Destroy(c.args[0]) }
func rename(c *call) error  { return c.Manager.Rename(c.args[0], c.args[1]) }

// shutdown has nobody to ask yet: no guest has an agent or a power button.
func shutdown(c *call) error {
	in, err := c.Manager.Find(c.args[0])
	if err != nil {
		return err
	}
	return fmt.Errorf("domain %q cannot be asked to power off in this version: do it inside (console %s), or pull the cord (destroy %s)",
		in.Name, in.Name, in.Name)
}

func domid(c *call) error {
	in, err := c.Manager.Find(c.args[0])
	if err != nil {
		return err
	}
	c.printf("%d\n", in.ID)
	return nil
}

func domname(c *call) error {
	in, err := c.Manager.Find(c.args[0])
	if err != nil {
		return err
	}
	c.printf("%s\n", in.Name)
	return nil
}
